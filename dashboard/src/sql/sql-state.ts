import type { Mark, Plan } from "./chart/plan";

/** What the address bar holds of the SQL page. */
export interface SqlState extends Plan {
  query: string;
  view: "table" | "chart";
}

const MARKS: readonly unknown[] = ["line", "area", "bar"] satisfies Mark[];

/** The address's parameters, which anybody may have written, as a state. */
export function readSqlState(raw: Record<string, unknown>): Partial<SqlState> {
  const state: Partial<SqlState> = {};
  for (const name of ["query", "x", "by"] as const) {
    if (typeof raw[name] === "string" || typeof raw[name] === "number") state[name] = String(raw[name]);
  }
  if (raw.view === "table" || raw.view === "chart") state.view = raw.view;
  if (MARKS.includes(raw.mark)) state.mark = raw.mark as Mark;
  if (Array.isArray(raw.y)) state.y = raw.y.filter((each) => typeof each === "string");
  return state;
}
