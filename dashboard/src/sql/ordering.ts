import type { Kind, Row } from "./answer";

export interface Ordering {
  column: number;
  direction: "asc" | "desc";
}

const text = new Intl.Collator("en", { numeric: true });

/** Rows in another order; equal ones stay as they were, and NULL is last whichever the direction. */
export function ordered(rows: readonly Row[], kind: Kind, { column, direction }: Ordering): Row[] {
  const sign = direction === "asc" ? 1 : -1;
  return [...rows].sort((one, other) => {
    const a = one[column] ?? null;
    const b = other[column] ?? null;
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return sign * compared(a, b, kind);
  });
}

function compared(a: unknown, b: unknown, kind: Kind): number {
  if (kind === "number") return comparedNumbers(a, b);
  if (kind === "boolean") return Number(a) - Number(b);
  // ISO 8601 in one zone is in the order of time when it is in the order of its characters.
  if (kind === "time") return String(a) < String(b) ? -1 : Number(String(a) > String(b));
  return kind === "nested"
    ? text.compare(JSON.stringify(a), JSON.stringify(b))
    : text.compare(String(a), String(b));
}

function comparedNumbers(a: unknown, b: unknown): number {
  const difference = Number(a) - Number(b);
  if (Number.isNaN(difference)) return Number(Number.isNaN(Number(a))) - Number(Number.isNaN(Number(b)));
  if (difference !== 0 || typeof a !== "string" || typeof b !== "string") return difference;
  // Integers past 2^53 are texts, whose difference may be lost in floating point.
  return a.length === b.length ? Number(a > b) - Number(a < b) : a.length - b.length;
}

/** What a click on the head of `column` leads to: ascending, descending, as the server answered. */
export function nextOrdering(now: Ordering | null, column: number): Ordering | null {
  if (now?.column !== column) return { column, direction: "asc" };
  return now.direction === "asc" ? { column, direction: "desc" } : null;
}
