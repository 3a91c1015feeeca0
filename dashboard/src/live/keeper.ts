import type { LogEvent } from "../api/client";
import { type Figures, MESSAGE_CHARS_MAX, ROWS_MAX, type Row, SECONDS_MAX, type Shown } from "./protocol";
import { Ring } from "./ring";

type Kept =
  /** As it came: only what gets on the screen is ever parsed. */
  | { kind: "line"; json: string }
  | { kind: "missed"; count: number }
  | { kind: "gap"; fromMs: number; untilMs: number };

/** Lines may go between handing over the last rows and standing still; with these the list does not get shorter then. */
const SLACK_ROWS = 1_000;
/** 5,000 lines of a megabyte would be 5 GB. */
const CHARS_MAX = 32 << 20;

/** What came, as much of it as is kept, and what of it the page has. Knows no clock and no thread. */
export class Keeper {
  private readonly ring = new Ring<Kept>(ROWS_MAX + SLACK_ROWS, CHARS_MAX, (kept, seq) =>
    this.gone(kept, seq),
  );
  /** While the list stands still: what is in it, however much more comes. */
  private held: { first: number; kept: Kept[]; received: number } | null = null;
  /** Everything before it was handed over, and so could be on the screen. */
  private handed = 0;
  private received = 0;
  private missed = 0;
  private dropped = 0;
  private second = 0;
  private perSecond: number[] = [];

  line(json: string): void {
    this.ring.push({ kind: "line", json }, json.length);
    this.received++;
    this.second++;
  }

  /** Several times in a row become one row. */
  leftOut(count: number): void {
    this.missed += count;
    const last = this.ring.get(this.ring.end - 1);
    if (last?.kind === "missed") this.ring.replaceLast({ kind: "missed", count: last.count + count });
    else this.ring.push({ kind: "missed", count }, 0);
  }

  gap(fromMs: number, untilMs: number): void {
    this.ring.push({ kind: "gap", fromMs, untilMs }, 0);
  }

  /** A second is over. */
  tick(): void {
    this.perSecond.push(this.second);
    if (this.perSecond.length > SECONDS_MAX) this.perSecond.shift();
    this.second = 0;
  }

  /** The newest `rows` rows, to follow. */
  tail(rows: number): Shown {
    const { end } = this.ring;
    const first = Math.max(this.ring.first, end - ROWS_MAX);
    const from = Math.max(first, end - rows);
    this.handed = end;
    return { first, end, rows: this.ring.slice(from, end).map((kept, index) => rowOf(kept, from + index)) };
  }

  /** Stands still at `end`, and gives all rows before it that are kept. */
  hold(end: number): Shown {
    const first = Math.max(this.ring.first, end - ROWS_MAX);
    const kept = this.ring.slice(first, end);
    // Lines may have come between `end` and now: they count as waiting too.
    const after = this.ring.slice(end, this.ring.end).filter((each) => each.kind === "line").length;
    this.held = { first, kept, received: this.received - after };
    return { first, end: first + kept.length, rows: kept.map((each, index) => rowOf(each, first + index)) };
  }

  follow(): void {
    this.held = null;
  }

  clear(): void {
    this.ring.clear();
    this.handed = this.ring.end;
  }

  /** The whole event of a row as JSON. */
  read(seq: number): string | undefined {
    const kept = this.held ? this.held.kept[seq - this.held.first] : this.ring.get(seq);
    return kept?.kind === "line" ? kept.json : undefined;
  }

  figures(): Figures {
    return {
      received: this.received,
      missed: this.missed,
      dropped: this.dropped,
      waiting: this.held ? this.received - this.held.received : 0,
      perSecond: this.perSecond,
    };
  }

  private gone(kept: Kept, seq: number): void {
    if (kept.kind === "line" && seq >= this.handed) this.dropped++;
  }
}

function rowOf(kept: Kept, seq: number): Row {
  if (kept.kind !== "line") return { ...kept, seq };
  const event = JSON.parse(kept.json) as LogEvent;
  return {
    kind: "line",
    seq,
    timestamp: event.timestamp,
    level: event.level,
    service: event.service,
    message: event.message.slice(0, MESSAGE_CHARS_MAX),
  };
}
