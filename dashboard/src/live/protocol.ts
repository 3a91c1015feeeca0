/** What the page and the worker that follows the log say to each other. */

/** How it stands with the server. */
export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  /** `retryAtMs`: when it is tried again. */
  | { state: "away"; detail: string; retryAtMs: number }
  /** The server does not take the query; nothing is tried again. `column` counts from 1. */
  | { state: "wrong"; detail: string; column: number | null };

/** One row of the list. `seq` counts everything that ever was in it, and so names a row for good. */
export type Row =
  | {
      kind: "line";
      seq: number;
      timestamp: string;
      level: string | null;
      service: string | null;
      /** Its first `MESSAGE_CHARS_MAX` characters. */
      message: string;
    }
  /** The server left out so many lines here, as they were not read fast enough. */
  | { kind: "missed"; seq: number; count: number }
  /** There was no connection. */
  | { kind: "gap"; seq: number; fromMs: number; untilMs: number };

/** The rows `first` to `end` (not included) exist; `rows` are the last of them. */
export interface Shown {
  first: number;
  end: number;
  rows: readonly Row[];
}

export interface Figures {
  /** Lines that came since the page began to follow. */
  received: number;
  /** Lines that the server left out, as they were not read fast enough; matching or not. */
  missed: number;
  /** Lines that came, but left the list again before they could be on the screen. */
  dropped: number;
  /** Lines that came since the list stands still. */
  waiting: number;
  /** Lines in each of the last seconds that are over, oldest first. */
  perSecond: readonly number[];
}

export type ToWorker =
  | { kind: "start"; url: string }
  /** So many rows fit on the screen. */
  | { kind: "screen"; rows: number }
  /** What was handed over is on the screen: more may come. */
  | { kind: "drawn" }
  /** Stand still: all rows before `end` are wanted at once. */
  | { kind: "hold"; end: number }
  | { kind: "follow" }
  | { kind: "clear" }
  /** The whole event of a row is wanted. */
  | { kind: "read"; seq: number };

export type FromWorker =
  | { kind: "connection"; connection: Connection }
  | { kind: "shown"; shown: Shown; held: boolean }
  | { kind: "figures"; figures: Figures }
  /** `json` undefined: the line is not kept any more. */
  | { kind: "event"; seq: number; json: string | undefined };

/** A row on the screen shows no more of a message than this; the opened row shows all of it. */
export const MESSAGE_CHARS_MAX = 2_000;

/** So many rows can be scrolled over. Older lines are a search away. */
export const ROWS_MAX = 5_000;

/** So long back goes the line of the rate. */
export const SECONDS_MAX = 120;
