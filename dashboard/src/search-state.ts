/** What the address bar holds of a search, so that a link is the search. Only what differs from the defaults is in it. */
export interface SearchState {
  q: string;
  /** `15m`, `yesterday 14:00`, an ISO time. Empty: no bound. */
  start: string;
  /** Like `start`. Empty: now, or no bound where `start` is empty too. */
  end: string;
  /** Columns of the table besides the time, in order. */
  columns: string[];
  order: "desc" | "asc";
  /** Field that the histogram is stacked by; empty for none. */
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
    // The router reads `q=500` as a number and `q=true` as a boolean.
    if (["string", "number", "boolean"].includes(typeof raw[name])) state[name] = String(raw[name]);
  }
  if (raw.order === "asc" || raw.order === "desc") state.order = raw.order;
  if (typeof raw.wrap === "boolean") state.wrap = raw.wrap;
  if (Array.isArray(raw.columns)) state.columns = raw.columns.filter((each) => typeof each === "string");
  return state;
}

/** What of a state has to stand in the address. */
export function differences(state: SearchState): Partial<SearchState> {
  const different = Object.entries(state).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(DEFAULTS[name as keyof SearchState]),
  );
  return Object.fromEntries(different) as Partial<SearchState>;
}
