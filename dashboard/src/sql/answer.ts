import type { Schemas } from "../api/client";

/** What `POST /api/sql` answers, as the page keeps it. */

/** How a column is aligned, ordered and drawn. */
export type Kind = "number" | "time" | "boolean" | "text" | "nested";

export interface Column {
  name: string;
  /** The Arrow type, as the server names it. */
  type: string;
  kind: Kind;
}

export type Row = readonly unknown[];

export interface Answer {
  columns: Column[];
  rows: Row[];
  /** Whether there were more rows than the server puts into one answer. */
  truncated: boolean;
  /** Time that the server took. */
  elapsedS: number;
  /** Null where the server's system does not tell. */
  bytesRead: number | null;
}

export function kindOf(type: string): Kind {
  if (/^(u?int\d+|float|double|halffloat|decimal)/.test(type)) return "number";
  if (/^(timestamp|date)/.test(type)) return "time";
  if (type === "bool") return "boolean";
  if (/^(list|large_list|fixed_size_list|struct|map|.*union)/.test(type)) return "nested";
  return "text";
}

export function readAnswer(text: string): Answer {
  const raw = JSON.parse(withExactNumbers(text)) as Schemas["SqlRows"];
  return {
    columns: raw.columns.map((each) => ({ ...each, kind: kindOf(each.type) })),
    rows: raw.rows,
    truncated: raw.truncated,
    elapsedS: raw.elapsed_s,
    bytesRead: raw.bytes_read,
  };
}

const NEEDS_CARE = /[[,:]-?(?:\d{16}|NaN|Infinity)/;
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

/**
 * SQL has numbers that JavaScript has not: integers past 2^53, and NaN and infinity, which JSON has not either. They are
 * kept as texts, so that they are shown digit by digit.
 */
function withExactNumbers(text: string): string {
  if (!NEEDS_CARE.test(text)) return text;
  return text.replace(STRING_OR_NUMBER, (token) => {
    if (token.startsWith('"')) return token;
    const exact =
      Number.isFinite(Number(token)) && (/[.eE]/.test(token) || Number.isSafeInteger(Number(token)));
    return exact ? token : `"${token}"`;
  });
}
