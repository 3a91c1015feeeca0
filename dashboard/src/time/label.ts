/** A range of time in a few words, for the button that chooses it and for messages. */
import { parseLengthMs, parsePoint } from "./point";
import type { TimeSpan, TimeWords } from "./range";
import { formatTime } from "./zone";

const NAMES: readonly (readonly [number, string])[] = [
  [7 * 86_400_000, "week"],
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1000, "second"],
  [1, "millisecond"],
];

/** "Last 15 minutes", "Yesterday", "2025-03-28 10:00 – 11:30", "All time". */
export function rangeLabel(words: TimeWords, span: TimeSpan, zone: string): string {
  if (words.start === "" && words.end === "") return "All time";
  const backMs = words.end === "" ? parseLengthMs(words.start) : undefined;
  if (backMs !== undefined) return `Last ${lengthName(backMs)}`;
  if (
    /^(?:today|yesterday|[a-z]+day)$/.test(words.start) &&
    (words.end === "" || words.end === words.start)
  ) {
    return words.end === "" && words.start !== "today" ? `Since ${words.start}` : capital(words.start);
  }
  if (words.end === "") return `Since ${spoken(words.start, span.startMs, zone)}`;
  if (words.start === "") return `Until ${spoken(words.end, span.endMs, zone)}`;
  if (isSpoken(words.start) && isSpoken(words.end)) {
    const [day, clock] = words.end.split(" ");
    const end = words.start.startsWith(`${day} `) && clock ? clock : words.end;
    return `${capital(words.start)} – ${end}`;
  }
  return span.startMs !== undefined && span.endMs !== undefined
    ? spanLabel(span.startMs, span.endMs, zone)
    : "";
}

/** Two instants without what they have in common: "2025-03-28", "2025-03-28 10:00 – 11:30". */
export function spanLabel(startMs: number, endMs: number, zone: string): string {
  const [start, end] = [instantText(startMs, zone), instantText(endMs, zone)];
  if (start.endsWith(" 00:00") && end.endsWith(" 00:00")) {
    const [first, last] = [formatTime(startMs, zone, "day"), formatTime(endMs - 1, zone, "day")];
    return first === last ? first : `${first} – ${last}`;
  }
  const sameDay = start.slice(0, 10) === end.slice(0, 10);
  return `${start} – ${sameDay ? end.slice(11) : end}`;
}

/** `900_000` → "15 minutes"; one of a kind goes without the number: "hour". */
export function lengthName(lengthMs: number): string {
  for (const [unitMs, name] of NAMES) {
    const count = lengthMs / unitMs;
    if (!Number.isInteger(count) || count < 1 || (name === "week" && count === 1)) continue;
    return count === 1 && name !== "week" ? (name === "day" ? "24 hours" : name) : `${count} ${name}s`;
  }
  return `${Math.round(lengthMs)} milliseconds`;
}

/** `15 s`, `5 min`, `1 h`, `1.5 d`: a length where there is little room. */
export function shortLength(lengthMs: number): string {
  const units: readonly (readonly [number, string])[] = [
    [86_400_000, "d"],
    [3_600_000, "h"],
    [60_000, "min"],
    [1000, "s"],
  ];
  for (const [unitMs, name] of units) {
    if (lengthMs >= unitMs) return `${Number((lengthMs / unitMs).toFixed(1))} ${name}`;
  }
  return `${Number(lengthMs.toFixed(1))} ms`;
}

/** An instant with as many places as it needs, at least minutes. */
export function instantText(ms: number, zone: string): string {
  if (ms % 60_000 === 0) return formatTime(ms, zone, "minute");
  return formatTime(ms, zone, ms % 1000 === 0 ? "second" : "millisecond");
}

function spoken(words: string, ms: number | undefined, zone: string): string {
  if (isSpoken(words) || ms === undefined) return parseLengthMs(words) === undefined ? words : `${words} ago`;
  return instantText(ms, zone);
}

function isSpoken(words: string): boolean {
  return parsePoint(words, 0, "UTC")?.relative === true;
}

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
