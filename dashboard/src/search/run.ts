import type { SearchState } from "../search-state";
import type { TimeSpan } from "../time/range";

/**
 * One search as it was started. Table, histogram, counts and export all take the query and the span from here, so that
 * they speak of the same events, however long ago "15m" was said.
 */
export interface Run {
  q: string;
  span: TimeSpan;
  order: "desc" | "asc";
  /** When it was started, in milliseconds since 1970; two runs of the same words differ in it. */
  startedMs: number;
}

/** What the parts of the page may ask of it. Every change goes into the address and, but for looks, starts a new run. */
export interface SearchActions {
  change(part: Partial<SearchState>): void;
  /** Adds `field:value`, or its negation, to the query. `value` null: events without the field. */
  filter(field: string, value: string | null, how: "for" | "out"): void;
  /** Searches again with the same words, and so up to now. */
  again(): void;
}
