import { type DownloadFormat, post } from "./useStatement";

const ENDING: Record<DownloadFormat, string> = { csv: "csv", ndjson: "ndjson", arrow: "arrows" };

/**
 * Every row of a statement as a file. `progress` is told the bytes that came so far. What comes is collected by the
 * browser, which puts large parts on its disk.
 */
export async function download(
  query: string,
  format: DownloadFormat,
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await post(query, format, signal);
  if (!response.body) return;
  let bytes = 0;
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, out) {
        bytes += chunk.byteLength;
        progress(bytes);
        out.enqueue(chunk);
      },
    }),
  );
  const blob = await new Response(counted, {
    headers: { "Content-Type": response.headers.get("Content-Type") ?? "application/octet-stream" },
  }).blob();
  save(blob, `tailrace-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.${ENDING[format]}`);
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads the address after the click has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
