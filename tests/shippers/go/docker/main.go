// Docker's own log drivers without a daemon: what a container would print comes on standard input.
//
//	docker-logs gelf gelf-address=udp://127.0.0.1:12201 < lines
package main

import (
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/moby/moby/v2/daemon/logger"
	_ "github.com/moby/moby/v2/daemon/logger/fluentd"
	_ "github.com/moby/moby/v2/daemon/logger/gelf"
	_ "github.com/moby/moby/v2/daemon/logger/splunk"
	_ "github.com/moby/moby/v2/daemon/logger/syslog"
)

func main() {
	options := map[string]string{}
	for _, option := range os.Args[2:] {
		name, value, _ := strings.Cut(option, "=")
		options[name] = value
	}
	create, err := logger.GetLogDriver(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := logger.ValidateLogOpts(os.Args[1], options); err != nil {
		log.Fatal(err)
	}
	driver, err := create(logger.Info{
		Config:              options,
		ContainerID:         strings.Repeat("0123456789abcdef", 4),
		ContainerName:       "/shop",
		ContainerEntrypoint: "/bin/shop",
		ContainerImageID:    "sha256:" + strings.Repeat("fedcba9876543210", 4),
		ContainerImageName:  "registry/shop:1.2",
		ContainerCreated:    time.Now(),
		DaemonName:          "docker",
	})
	if err != nil {
		log.Fatal(err)
	}
	copier := logger.NewCopier(map[string]io.Reader{"stdout": os.Stdin}, driver)
	copier.Run()
	copier.Wait()
	if err := driver.Close(); err != nil {
		log.Fatal(err)
	}
}
