// OpenTelemetry's SDK for Go under slog, as docs/ingest/otlp.md has it: each line of standard input is a record.
//
//	otel http http://localhost:4318/v1/logs < lines
package main

import (
	"bufio"
	"context"
	"log"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
)

const (
	// Less than the processor's queue, which drops what does not fit.
	flushedLines = 500
	// By default a batch is given up after ten seconds.
	patience = time.Minute
)

func main() {
	ctx := context.Background()
	exporter, err := exporterOf(ctx, os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	provider := sdklog.NewLoggerProvider(
		sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter, sdklog.WithExportTimeout(patience))),
		sdklog.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "checkout"), attribute.String("host.name", "web-1"),
		)),
	)
	logger := otelslog.NewLogger("cart", otelslog.WithLoggerProvider(provider))
	lines := bufio.NewScanner(os.Stdin)
	for number := 0; lines.Scan(); number++ {
		logger.Warn(lines.Text(), slog.Int("number", number), slog.Group("order", slog.Float64("price", 1.5)))
		if number%flushedLines == flushedLines-1 {
			if err := provider.ForceFlush(ctx); err != nil {
				log.Print("gave up ", err)
			}
		}
	}
	if err := provider.Shutdown(ctx); err != nil {
		log.Print("gave up ", err)
	}
}

func exporterOf(ctx context.Context, protocol, endpoint string) (sdklog.Exporter, error) {
	if protocol == "grpc" {
		return otlploggrpc.New(
			ctx, otlploggrpc.WithEndpointURL(endpoint), otlploggrpc.WithTimeout(patience), otlploggrpc.WithCompressor("gzip"),
		)
	}
	return otlploghttp.New(
		ctx, otlploghttp.WithEndpointURL(endpoint), otlploghttp.WithTimeout(patience),
		otlploghttp.WithCompression(otlploghttp.GzipCompression),
	)
}
