/**
 * Ranges of time as people type them, and as the address keeps them.
 *
 * What counts from now (`15m`, `yesterday 14:00`) is kept in its words, so that a saved search moves along; a fixed time is
 * kept as an instant in UTC, so that a link means the same to a reader in another zone.
 */
import { type Point, parseLengthMs, parsePoint } from "./point";
import type { TimeSpan, TimeWords } from "./range";

export const TIME_EXAMPLES = "last 15m, yesterday 14:00 to 15:30, 2025-03-28, since monday, all time";

/** Typed text as a range, or null when it is none. The span is for showing what was understood. */
export function parseRange(
  text: string,
  nowMs: number,
  zone: string,
): { words: TimeWords; span: TimeSpan } | null {
  const words = wordsOf(text.trim().replace(/\s+/g, " "), nowMs, zone);
  const span = words && resolveWords(words, nowMs, zone);
  return words && span ? { words, span } : null;
}

/**
 * The instants of a range. An empty start is without a bound, and so is an empty end beside it; otherwise an empty end is
 * now. A day, month or year as the end is included; a clock time is where the range ends. Null: not a range of time.
 */
export function resolveWords(words: TimeWords, nowMs: number, zone: string): TimeSpan | null {
  const start = words.start === "" ? undefined : parsePoint(words.start, nowMs, zone);
  const end = words.end === "" ? undefined : parsePoint(words.end, nowMs, zone);
  if (start === null || end === null) return null;
  const startMs = start?.startMs;
  const endMs = end ? boundOf(end) : startMs === undefined ? undefined : Math.max(nowMs, startMs + 1);
  if (startMs !== undefined && endMs !== undefined && endMs <= startMs) return null;
  return { ...(startMs === undefined ? {} : { startMs }), ...(endMs === undefined ? {} : { endMs }) };
}

/** A span of instants as the address keeps it. */
export function wordsOfSpan(span: TimeSpan): TimeWords {
  return {
    start: span.startMs === undefined ? "" : isoText(span.startMs),
    end: span.endMs === undefined ? "" : isoText(span.endMs),
  };
}

const ALL = /^(?:all|all time|all times|everything|ever|always|)$/i;
const LAST = /^(?:(?:the )?(?:last|past|previous) )(.+)$/i;
const SINCE = /^(?:since|from|after) (.+)$/i;
const UNTIL = /^(?:until|till|before|up to) (.+)$/i;
const BETWEEN =
  /^(?:between (.+?) and|(?:from )?(.+?)(?: (?:to|until|till|–|—|-|→|->)|\s?\.\.|\s?[–—→])) ?(.+)$/i;

function wordsOf(text: string, nowMs: number, zone: string): TimeWords | null {
  if (ALL.test(text)) return { start: "", end: "" };
  const last = LAST.exec(text)?.[1];
  if (last !== undefined) {
    const lengthMs = parseLengthMs(last);
    return lengthMs === undefined ? null : { start: lengthText(lengthMs), end: "" };
  }
  const between = BETWEEN.exec(text);
  const both = between && pairOf(between[1] ?? between[2] ?? "", between[3] ?? "", nowMs, zone);
  // "now - 15m" looks like two times and is one.
  if (both && resolveWords(both, nowMs, zone)) return both;
  const since = SINCE.exec(text)?.[1];
  if (since !== undefined) {
    const point = parsePoint(since, nowMs, zone);
    return point && { start: startText(since, point), end: "" };
  }
  const until = UNTIL.exec(text)?.[1];
  if (until !== undefined) {
    const point = parsePoint(until, nowMs, zone);
    return point && { start: "", end: isoText(point.startMs) };
  }
  return single(text, nowMs, zone);
}

/** A day is all of it; any other time alone is from then on until now. */
function single(text: string, nowMs: number, zone: string): TimeWords | null {
  const point = parsePoint(text, nowMs, zone);
  if (!point) return null;
  const start = startText(text, point);
  const isWhole = point.kind === "day" && boundOf(point) <= nowMs;
  return { start, end: isWhole ? (point.relative ? start : isoText(boundOf(point))) : "" };
}

function pairOf(startWords: string, endWords: string, nowMs: number, zone: string): TimeWords | null {
  const start = parsePoint(startWords, nowMs, zone);
  if (!start) return null;
  if (endWords.toLowerCase() === "now") return { start: startText(startWords, start), end: "" };
  const isClockAlone = /^\d{1,2}(?::|\s?[ap]m)/i.test(endWords);
  const end = parsePoint(endWords, nowMs, zone, isClockAlone ? start.startMs : undefined);
  if (!end) return null;
  if (!isClockAlone) return { start: startText(startWords, start), end: endText(endWords, end) };
  // "23:00 to 01:00" ends on the day after.
  const past =
    end.startMs > start.startMs ? end : parsePoint(endWords, nowMs, zone, start.startMs + 86_400_000);
  if (!past) return null;
  const day = start.relative ? /^[a-z]+/i.exec(startWords)?.[0] : undefined;
  return {
    start: startText(startWords, start),
    end: day !== undefined && past === end ? `${day.toLowerCase()} ${endWords}` : isoText(past.startMs),
  };
}

function startText(text: string, point: Point): string {
  return point.relative ? text.toLowerCase() : isoText(point.startMs);
}

function endText(text: string, point: Point): string {
  return point.relative ? text.toLowerCase() : isoText(boundOf(point));
}

function boundOf(point: Point): number {
  return point.kind === "day" ? point.endMs : point.startMs;
}

/** ISO 8601 in UTC, without the decimal places that say nothing. */
function isoText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.000Z$/, "Z");
}

const LENGTHS: readonly (readonly [string, number])[] = [
  ["w", 7 * 86_400_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
];

/** `15m`, `90s`, `7d`: weeks only from two on, as people say seven days. */
export function lengthText(lengthMs: number): string {
  for (const [unit, unitMs] of LENGTHS) {
    if (lengthMs >= unitMs && lengthMs % unitMs === 0 && !(unit === "w" && lengthMs === unitMs)) {
      return `${lengthMs / unitMs}${unit}`;
    }
  }
  return `${Math.round(lengthMs)}ms`;
}
