import type { Schemas } from "../api/client";
import { type Metrics, total } from "./prometheus";

/** What the server said of itself at one moment. */
export interface Poll {
  /** By the clock of this page. */
  atMs: number;
  status: Schemas["Status"];
  metrics: Metrics;
}

/** Two polls: what is, and what changed. Answers are undefined where nothing is known. */
export class Change {
  constructor(
    readonly now: Poll,
    readonly before: Poll | undefined,
  ) {}

  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined {
    return total(this.now.metrics, name, labels);
  }

  /** How much a counter rose in a second. */
  rate(name: string, labels?: Readonly<Record<string, string>>): number | undefined {
    const rise = this.rise(name, labels);
    const elapsedS = this.before === undefined ? 0 : (this.now.atMs - this.before.atMs) / 1_000;
    return rise === undefined || elapsedS <= 0 ? undefined : rise / elapsedS;
  }

  /** Mean of what a histogram saw between the polls; undefined when that was nothing. */
  mean(name: string, labels?: Readonly<Record<string, string>>): number | undefined {
    const sum = this.rise(`${name}_sum`, labels);
    const count = this.rise(`${name}_count`, labels);
    return sum === undefined || !count ? undefined : sum / count;
  }

  private rise(name: string, labels?: Readonly<Record<string, string>>): number | undefined {
    const now = total(this.now.metrics, name, labels);
    if (now === undefined || this.before === undefined) return undefined;
    const before = total(this.before.metrics, name, labels) ?? 0;
    // A server that was started anew counts from 0.
    return now >= before ? now - before : now;
  }
}
