import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { asCommand, asCurl, exportUrl, fileName, shellWord } from "./exports";
import type { Run } from "./run";

const run: Run = {
  q: 'level:ERROR AND "it\'s $HOME"',
  span: { startMs: Date.UTC(2025, 2, 28, 10), endMs: Date.UTC(2025, 2, 28, 11) },
  order: "desc",
  startedMs: Date.UTC(2025, 2, 28, 11, 0, 5),
};

describe("exports", () => {
  it("asks for the very events of the search", () => {
    const parameters = new URL(exportUrl(run, "csv"), "http://localhost").searchParams;
    expect(Object.fromEntries(parameters)).toEqual({
      q: run.q,
      start: "2025-03-28T10:00:00.000000Z",
      end: "2025-03-28T10:59:59.999999Z",
      format: "csv",
    });
  });

  it("names the file by when the search was run", () => {
    expect(fileName(run, "parquet")).toBe("logs-2025-03-28T11-00-05.parquet");
  });

  it("leaves out of the command what has no bound", () => {
    const all: Run = { q: "", span: {}, order: "asc", startedMs: 0 };
    expect(asCommand(all, "http://h:1")).toBe("tailrace search --order asc --url http://h:1");
    expect(asCurl(all, "http://h:1")).toBe(
      "curl -G http://h:1/api/search \\\n  --data-urlencode order=asc \\\n  --data-urlencode format=ndjson",
    );
  });

  it("writes words that a shell reads back as they were", () => {
    for (const text of [
      run.q,
      "a b",
      "it's",
      '"$(id)" `x`',
      "back\\slash",
      "-dash",
      "!",
      "*",
      "two\nlines",
      "",
    ]) {
      expect(execFileSync("sh", ["-c", `printf %s ${shellWord(text)}`], { encoding: "utf8" })).toBe(text);
    }
  });

  it("keeps a query that begins with a sign from being an option", () => {
    expect(asCommand({ ...run, q: "-test", span: {} }, "http://h:1")).toBe(
      "tailrace search --url http://h:1 -- -test",
    );
  });
});
