import { type LogEvent, Problem } from "../../api/client";

/**
 * The events of one search, read page by page as somebody scrolls.
 *
 * - A page is known by the cursor it begins with. Pages are read in order the first time, and by their cursor again.
 * - At most `pagesMax` pages are held, and fewer where their lines are long: those around the rows that were asked for
 *   last. The first is always held, as it begins with no cursor, and without one the server answers from the newest event
 *   of then.
 * - The number of rows never shrinks, so that a scroll position stays what it was.
 */
export interface Page {
  events: LogEvent[];
  next_cursor: string | null;
}

export type ReadPage = (cursor: string | null, signal: AbortSignal) => Promise<Page>;

/** Rows that are reached by scrolling. Browsers cannot draw a higher page; nobody reads that far. */
export const ROWS_MAX = 1_000_000;

/** Characters of all messages that are held, so that lines of a megabyte do not fill the browser's memory. */
const CHARACTERS_MAX = 40_000_000;
/** The first page, and those that a screen may lie on: held however long their lines are. */
const PAGES_MIN = 4;

interface Place {
  cursor: string | null;
  firstRow: number;
  /** How many rows it had when it was read first. */
  rows: number;
  characters: number;
}

export class EventPages {
  /** Every page ever read, in order. */
  private readonly places: Place[] = [];
  private readonly held = new Map<number, LogEvent[]>();
  private readonly reading = new Set<number>();
  private readonly failed = new Map<number, Error>();
  private readonly listeners = new Set<() => void>();
  private readonly aborted = new AbortController();
  private nextCursor: string | null = null;
  private version = 0;
  private characters = 0;
  private centre = 0;

  constructor(
    private readonly read: ReadPage,
    private readonly pagesMax = 100,
  ) {}

  /** Changes when anything that is shown has changed. */
  readonly snapshot = (): number => this.version;

  readonly subscribe = (changed: () => void): (() => void) => {
    this.listeners.add(changed);
    return () => this.listeners.delete(changed);
  };

  /** Rows that were read so far, held or not. */
  get rows(): number {
    const last = this.places.at(-1);
    return last ? Math.min(last.firstRow + last.rows, ROWS_MAX) : 0;
  }

  /** Whether there are rows behind those that were read. */
  get hasMore(): boolean {
    return (this.places.length === 0 || this.nextCursor !== null) && this.rows < ROWS_MAX;
  }

  /** Whether the first page has come. */
  get begun(): boolean {
    return this.places.length > 0;
  }

  /** Why rows are missing, when reading them failed. */
  get error(): Error | undefined {
    return this.failed.values().next().value;
  }

  /** The event of a row; undefined while it is not here. */
  event(row: number): LogEvent | undefined {
    const page = this.pageOf(row);
    const place = this.places[page];
    return place && this.held.get(page)?.[row - place.firstRow];
  }

  /** Reads what is missing of the rows `first` to `last`, and lets go of what is far from them. */
  want(first: number, last: number): void {
    if (this.aborted.signal.aborted) return;
    const from = this.pageOf(first);
    const to = this.pageOf(last);
    this.centre = (from + to) >> 1;
    for (let page = from; page <= to; page++) {
      if (page < this.places.length || this.hasMore) this.load(page);
    }
    this.drop();
  }

  /** Tries again what failed. `passing`: only what may work the next time with nothing changed. */
  retry(passing = false): void {
    for (const [page, error] of [...this.failed]) {
      if (passing && !(error instanceof Problem && [0, 429, 503].includes(error.status))) continue;
      this.failed.delete(page);
      this.load(page);
    }
    this.changed();
  }

  /** Gives up what is being read; nothing is read afterwards. */
  close(): void {
    this.aborted.abort();
  }

  private pageOf(row: number): number {
    let low = 0;
    let high = this.places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const place = this.places[middle] as Place;
      if (row >= place.firstRow + place.rows) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private load(page: number): void {
    if (this.held.has(page) || this.reading.has(page) || this.failed.has(page)) return;
    const place = this.places[page];
    const cursor = place ? place.cursor : this.nextCursor;
    this.reading.add(page);
    this.read(cursor, this.aborted.signal).then(
      (answer) => this.keep(page, cursor, answer),
      (error: Error) => {
        this.reading.delete(page);
        if (this.aborted.signal.aborted) return;
        this.failed.set(page, error);
        this.changed();
      },
    );
  }

  private keep(page: number, cursor: string | null, answer: Page): void {
    this.reading.delete(page);
    if (this.aborted.signal.aborted) return;
    if (page === this.places.length) {
      const characters = answer.events.reduce((sum, event) => sum + event.message.length, 0);
      this.places.push({ cursor, firstRow: this.rows, rows: answer.events.length, characters });
      this.nextCursor = answer.next_cursor;
    }
    this.held.set(page, answer.events);
    this.characters += this.places[page]?.characters ?? 0;
    this.drop();
    this.changed();
  }

  private drop(): void {
    while (
      this.held.size > this.pagesMax ||
      (this.characters > CHARACTERS_MAX && this.held.size > PAGES_MIN)
    ) {
      let farthest = -1;
      for (const page of this.held.keys()) {
        if (page === 0) continue;
        if (farthest < 0 || Math.abs(page - this.centre) > Math.abs(farthest - this.centre)) farthest = page;
      }
      this.held.delete(farthest);
      this.characters -= this.places[farthest]?.characters ?? 0;
    }
  }

  private changed(): void {
    this.version++;
    for (const each of this.listeners) each();
  }
}
