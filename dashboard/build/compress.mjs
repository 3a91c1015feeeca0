// Writes FILE.br and FILE.gz beside each built file that is text, once, so that the server never has to compress.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

const TEXT = /\.(js|css|svg|json)$/;

for (const name of readdirSync("dist", { recursive: true })) {
  if (!TEXT.test(name)) continue;
  const path = join("dist", name);
  const content = readFileSync(path);
  writeFileSync(`${path}.br`, brotliCompressSync(content));
  writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
}
