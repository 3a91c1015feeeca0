/**
 * Ranges of time as people write them. The server understands the same words (`15m`, `yesterday`, ISO 8601); they are
 * turned into instants here once for each search, so that the table, the histogram and the counts are of the same events.
 */

/** Words as typed. Empty: without a bound on that side. */
export interface TimeWords {
  start: string;
  end: string;
}

/** Instants in milliseconds since 1970, half open. Undefined: without a bound. */
export interface TimeSpan {
  startMs?: number;
  endMs?: number;
}

/** What the API takes for an instant: ISO 8601 in UTC with six decimal places. */
export function apiTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000Z`;
}

/** What the API takes for the end of a half-open span: its last microsecond, as the API's ends are included. */
export function apiEnd(ms: number): string {
  return `${new Date(ms - 1).toISOString().slice(0, -1)}999Z`;
}

/** A span as the API's `start` and `end`. */
export function apiSpan(span: TimeSpan): { start?: string; end?: string } {
  return {
    ...(span.startMs === undefined ? {} : { start: apiTime(span.startMs) }),
    ...(span.endMs === undefined ? {} : { end: apiEnd(span.endMs) }),
  };
}
