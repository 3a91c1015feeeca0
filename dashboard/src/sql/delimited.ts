import type { Column, Row } from "./answer";
import { wholeText } from "./cells";

export type Separator = "," | "\t";

/**
 * Rows as CSV (RFC 4180) or TSV, with a line of names, to be pasted. NULL is empty, and an empty text is `""`, as in the
 * server's own CSV.
 */
export function delimited(columns: readonly Column[], rows: readonly Row[], separator: Separator): string {
  const names = columns.map((each) => quoted(each.name, separator)).join(separator);
  const lines = rows.map((row) => columns.map((_, index) => cell(row[index], separator)).join(separator));
  return `${[names, ...lines].join("\n")}\n`;
}

/** One row without the line of names. */
export function delimitedRow(row: Row, separator: Separator): string {
  return row.map((value) => cell(value, separator)).join(separator);
}

function cell(value: unknown, separator: Separator): string {
  if (value === null || value === undefined) return "";
  const text = wholeText(value);
  return text === "" ? '""' : quoted(text, separator);
}

function quoted(text: string, separator: Separator): string {
  return /["\r\n]/.test(text) || text.includes(separator) ? `"${text.replaceAll('"', '""')}"` : text;
}
