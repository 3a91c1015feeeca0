/** What the address bar holds of a search, so that a link is the search. Only what differs from the defaults is in it. */
export interface SearchState {
  q: string;
  /** Words as they were typed or chosen: `15m`, `yesterday`, an ISO time. Empty `end`: now. */
  start: string;
  end: string;
  /** Columns of the table besides the time, in order. */
  columns: string[];
  order: "desc" | "asc";
  /** Field that the histogram is stacked by. */
  by: string;
  wrap: boolean;
  /** The opened event, `id@timestamp`. */
  open: string;
}

export const DEFAULTS: SearchState = {
  q: "",
  start: "15m",
  end: "",
  columns: ["level", "service", "message"],
  order: "desc",
  by: "level",
  wrap: false,
  open: "",
};

/** The address's parameters, which anybody may have written, as a state. */
export function readState(raw: Record<string, unknown>): Partial<SearchState> {
  const state: Partial<SearchState> = {};
  for (const name of ["q", "start", "end", "by", "open"] as const) {
    if (typeof raw[name] === "string" || typeof raw[name] === "number") state[name] = String(raw[name]);
  }
  if (raw.order === "asc" || raw.order === "desc") state.order = raw.order;
  if (typeof raw.wrap === "boolean") state.wrap = raw.wrap;
  if (Array.isArray(raw.columns)) state.columns = raw.columns.filter((each) => typeof each === "string");
  return state;
}
