import type { LogEvent } from "../api/client";
import { url } from "../api/client";
import type { Connection, Figures, FromWorker, Row, Shown, ToWorker } from "./protocol";

/** Why the list stands still. */
export type Hold = "paused" | "scrolled" | null;

export interface TailView {
  connection: Connection;
  shown: Shown;
  figures: Figures;
  hold: Hold;
}

const NOTHING: TailView = {
  connection: { state: "connecting" },
  shown: { first: 0, end: 0, rows: [] },
  figures: { received: 0, missed: 0, dropped: 0, waiting: 0, perSecond: [] },
  hold: null,
};

/** One tail: the worker that follows the log, and what the page shows of it. Its methods may be handed around freely. */
export class TailClient {
  private readonly worker = new Worker(new URL("./tail.worker.ts", import.meta.url), { type: "module" });
  private readonly listeners = new Set<() => void>();
  private readonly readers = new Map<number, (event: LogEvent | undefined) => void>();
  private view = NOTHING;

  constructor(q: string) {
    this.worker.onmessage = (message: MessageEvent<FromWorker>) => this.heard(message.data);
    this.tell({ kind: "start", url: url("/api/tail", { q }) });
  }

  readonly subscribe = (changed: () => void): (() => void) => {
    this.listeners.add(changed);
    return () => this.listeners.delete(changed);
  };

  readonly snapshot = (): TailView => this.view;

  /** Stands still; what is on the screen stays there. A pause is not undone by scrolling. */
  readonly hold = (why: "paused" | "scrolled"): void => {
    const { hold, shown } = this.view;
    if (hold === null) this.tell({ kind: "hold", end: shown.end });
    if (hold !== "paused") this.change({ hold: why });
  };

  readonly follow = (): void => {
    if (this.view.hold === null) return;
    this.tell({ kind: "follow" });
    this.change({ hold: null });
  };

  readonly clear = (): void => this.tell({ kind: "clear" });

  readonly setScreenRows = (rows: number): void => this.tell({ kind: "screen", rows });

  /** The whole event of a line; undefined when it is not kept any more. */
  readonly read = (seq: number): Promise<LogEvent | undefined> =>
    new Promise((resolve) => {
      this.readers.set(seq, resolve);
      this.tell({ kind: "read", seq });
    });

  close(): void {
    this.worker.terminate();
    this.listeners.clear();
  }

  private tell(message: ToWorker): void {
    this.worker.postMessage(message);
  }

  private heard(message: FromWorker): void {
    switch (message.kind) {
      case "connection":
        this.change({ connection: message.connection });
        break;
      case "figures":
        this.change({ figures: message.figures });
        break;
      case "shown":
        // What was on its way when the list was stopped, or let go, is not what it shows now.
        if (message.held === (this.view.hold !== null)) this.change({ shown: message.shown });
        // Behind the frame, so that its layout and painting are over too.
        requestAnimationFrame(() => setTimeout(() => this.tell({ kind: "drawn" })));
        break;
      case "event":
        this.readers.get(message.seq)?.(
          message.json === undefined ? undefined : (JSON.parse(message.json) as LogEvent),
        );
        this.readers.delete(message.seq);
        break;
    }
  }

  private change(part: Partial<TailView>): void {
    this.view = { ...this.view, ...part };
    for (const listener of this.listeners) listener();
  }
}

/** The row with this number, when the page has it. */
export function rowAt(shown: Shown, seq: number): Row | undefined {
  return shown.rows[seq - (shown.end - shown.rows.length)];
}
