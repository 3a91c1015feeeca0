import type { Answer, Column, Row } from "../answer";

export type Mark = "line" | "area" | "bar";

/** Which columns are drawn, and how. */
export interface Plan {
  mark: Mark;
  x: string;
  y: string[];
  /** Column whose values are a series each; empty: none. */
  by: string;
}

const LOOKED_AT_ROWS = 1000;

/** What suits the result: lines over time, bars over categories. Null: it has nothing to draw. */
export function proposed({ columns, rows }: Answer): Plan | null {
  const numbers = columns.filter((each) => each.kind === "number");
  const time = columns.find((each) => each.kind === "time" && varies(columns, rows, each));
  const category = columns.find((each) => each.kind === "text" || each.kind === "boolean");
  const x = time ?? category ?? (numbers.length > 1 ? numbers[0] : undefined);
  if (!x) return null;
  const y = numbers.filter((each) => each !== x);
  const first = y[0];
  if (!first) return null;
  const by = repeats(columns, rows, x)
    ? columns.find((each) => each !== x && each.kind === "text" && varies(columns, rows, each))
    : undefined;
  return {
    mark: x.kind === "time" ? "line" : "bar",
    x: x.name,
    y: by || x.kind !== "time" ? [first.name] : y.slice(0, 4).map((each) => each.name),
    by: by?.name ?? "",
  };
}

/** `chosen` as far as the result has its columns, and what is proposed for the rest. */
export function planned(answer: Answer, chosen: Partial<Plan>): Plan | null {
  const proposal = proposed(answer);
  if (!proposal) return null;
  const has = (name: string) => answer.columns.some((each) => each.name === name);
  const y = chosen.y?.filter(has) ?? [];
  return {
    mark: chosen.mark ?? proposal.mark,
    x: chosen.x !== undefined && has(chosen.x) ? chosen.x : proposal.x,
    y: y.length > 0 ? y : proposal.y,
    by: chosen.by !== undefined && (chosen.by === "" || has(chosen.by)) ? chosen.by : proposal.by,
  };
}

export function columnAt(columns: readonly Column[], name: string): number {
  return columns.findIndex((each) => each.name === name);
}

function valuesOf(columns: readonly Column[], rows: readonly Row[], column: Column): unknown[] {
  const index = columns.indexOf(column);
  return rows.slice(0, LOOKED_AT_ROWS).map((row) => row[index]);
}

function varies(columns: readonly Column[], rows: readonly Row[], column: Column): boolean {
  return new Set(valuesOf(columns, rows, column)).size > 1;
}

function repeats(columns: readonly Column[], rows: readonly Row[], column: Column): boolean {
  const values = valuesOf(columns, rows, column);
  return new Set(values).size < values.length;
}
