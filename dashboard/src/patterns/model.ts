/** What `GET /api/patterns` answers, see README.md, and what the table says of it. */

export interface Pattern {
  id: string;
  /** The line with `<*>` where lines of this pattern differ. */
  template: string;
  /** Events of it in the window. */
  count: number;
  /** Events in equal parts of the window, in the order of time. */
  sparkline: number[];
  /** Events in the window of the same length right before. Null: the window is open, and so has none before it. */
  before_count: number | null;
  /** When it was first seen at all. */
  first_seen: string;
  /** A whole line. */
  example: string;
  /** The query that finds its events. */
  q: string;
}

export interface Patterns {
  patterns: Pattern[];
  /** Patterns that were found; `limit` may have cut them. */
  count: number;
}

export type Direction = "new" | "up" | "down" | "same" | "unknown";

export interface Trend {
  direction: Direction;
  text: string;
  /** For ordering: how many times as many as before. */
  factor: number;
}

const SAME_WITHIN = 0.1;
const TIMES_FROM = 2;

/** How much there is of it against the window before: `▲ new`, `×3`, `+40 %`, `−40 %`. */
export function trend({ count, before_count: before }: Pick<Pattern, "count" | "before_count">): Trend {
  if (before === null) return { direction: "unknown", text: "–", factor: 1 };
  if (before === 0) return { direction: "new", text: "▲ new", factor: Number.POSITIVE_INFINITY };
  const factor = count / before;
  if (Math.abs(factor - 1) <= SAME_WITHIN) return { direction: "same", text: "same", factor };
  if (factor >= TIMES_FROM) return { direction: "up", text: `×${timesText(factor)}`, factor };
  const percent = Math.round(Math.abs(factor - 1) * 100);
  return factor > 1
    ? { direction: "up", text: `+${percent} %`, factor }
    : { direction: "down", text: `−${percent} %`, factor };
}

function timesText(factor: number): string {
  return factor < 10 ? String(Math.round(factor * 10) / 10) : Math.round(factor).toLocaleString("en");
}

export interface TemplatePart {
  text: string;
  isWildcard: boolean;
}

export const WILDCARD = "<*>";

/** The template in pieces, so that the wildcards can be marked. */
export function templateParts(template: string): TemplatePart[] {
  return template
    .split(/(<\*>)/)
    .filter((text) => text !== "")
    .map((text) => ({ text, isWildcard: text === WILDCARD }));
}

export type Ordering = "count" | "trend" | "first_seen";

/** Most first: by events, by growth, or by how new it is. */
export function orderedPatterns(patterns: readonly Pattern[], ordering: Ordering): Pattern[] {
  return [...patterns].sort((one, other) => {
    if (ordering === "first_seen" && one.first_seen !== other.first_seen) {
      return one.first_seen < other.first_seen ? 1 : -1;
    }
    if (ordering === "trend") {
      const [a, b] = [trend(one).factor, trend(other).factor];
      if (a !== b) return a < b ? 1 : -1;
    }
    return other.count - one.count;
  });
}

/** `points` of an SVG polyline in a box of `width` by `height`, from the bottom up. */
export function sparklinePoints(values: readonly number[], width: number, height: number): string {
  const largest = Math.max(...values, 1);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  return values
    .map((value, at) => `${round(at * step)},${round(height - (Math.max(value, 0) / largest) * height)}`)
    .join(" ");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
