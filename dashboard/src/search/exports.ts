/** Addresses and commands that give the events of a search to other tools. */
import { url } from "../api/client";
import { apiSpan } from "../time/range";
import type { Run } from "./run";

export const FORMATS = [
  { format: "csv", label: "CSV", for: "spreadsheets" },
  { format: "ndjson", label: "NDJSON", for: "an event a line, for jq and scripts" },
  { format: "parquet", label: "Parquet", for: "DuckDB, pandas, Spark" },
] as const;

export type Format = (typeof FORMATS)[number]["format"];

function parameters(run: Run, format: Format): Record<string, string> {
  return {
    ...(run.q ? { q: run.q } : {}),
    ...apiSpan(run.span),
    ...(run.order === "asc" ? { order: run.order } : {}),
    format,
  };
}

export function exportUrl(run: Run, format: Format): string {
  return url("/api/search", parameters(run, format));
}

/** `logs-2025-03-28T10-00-00.csv`: when the search was run, so that a later one is another file. */
export function fileName(run: Run, format: Format): string {
  return `logs-${new Date(run.startedMs).toISOString().slice(0, 19).replaceAll(":", "-")}.${format}`;
}

/** `text` as one word of a POSIX shell. */
export function shellWord(text: string): string {
  if (/^[\w@%+:,./-][\w@%+=:,./-]*$/.test(text)) return text;
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** `origin`: where the server is, as in `http://127.0.0.1:8001`. */
export function asCurl(run: Run, origin: string): string {
  const given = Object.entries(parameters(run, "ndjson")).map(
    ([name, value]) => `  --data-urlencode ${shellWord(`${name}=${value}`)}`,
  );
  return [`curl -G ${shellWord(`${origin}/api/search`)}`, ...given].join(" \\\n");
}

export function asCommand(run: Run, origin: string): string {
  const { start, end } = apiSpan(run.span);
  const words = [
    "tailrace search",
    ...(start === undefined ? [] : [`--since ${shellWord(start)}`]),
    ...(end === undefined ? [] : [`--until ${shellWord(end)}`]),
    ...(run.order === "asc" ? ["--order asc"] : []),
    `--url ${shellWord(origin)}`,
    // A query may begin with a sign, which would be an option.
    ...(run.q ? [`-- ${shellWord(run.q)}`] : []),
  ];
  return words.join(" ");
}
