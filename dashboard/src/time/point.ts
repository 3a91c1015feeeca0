/**
 * One time as people write it: `2025-03-28 10:00`, `yesterday 14:00`, `monday`, `14:00`, `15m`, `2 hours ago`, an epoch.
 * Pure: the present moment and the zone are arguments. Times without a zone of their own are in the given one.
 */
import { formatTime, instantOf } from "./zone";

/** What a time covers, half open, in milliseconds since 1970: a day for `2025-03-28`, a minute for `10:00`. */
export interface Point {
  startMs: number;
  endMs: number;
  /** `instant`: counted from now. `clock`: down to the hour or finer. `day`: a day, month or year as a whole. */
  kind: "instant" | "clock" | "day";
  /** Whether the text means another time tomorrow. */
  relative: boolean;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const UNITS: readonly (readonly [RegExp, number])[] = [
  [/^(?:ms|milliseconds?|millis)$/, 1],
  [/^(?:s|secs?|seconds?)$/, 1000],
  [/^(?:m|mins?|minutes?)$/, MINUTE_MS],
  [/^(?:h|hrs?|hours?)$/, HOUR_MS],
  [/^(?:d|days?)$/, DAY_MS],
  [/^(?:w|wks?|weeks?)$/, 7 * DAY_MS],
  [/^(?:months?|mo)$/, 30 * DAY_MS],
  [/^(?:y|yrs?|years?)$/, 365 * DAY_MS],
];
const BACK_MS_MAX = 1000 * 365 * DAY_MS;

const CLOCK = String.raw`(?<hour>\d{1,2})(?::(?<minute>\d\d)(?::(?<second>\d\d)(?:[.,](?<fraction>\d{1,9}))?)?)?\s*(?<half>[ap]m)?`;
const ZONE = String.raw`\s*(?<zone>z|utc|[+-]\d\d(?::?\d\d)?)?`;
const DATE = new RegExp(
  String.raw`^(?<year>\d{4})(?:-(?<month>\d\d?)(?:-(?<day>\d\d?)(?:(?:t|\s+at\s+|\s+)${CLOCK}${ZONE})?)?)?$`,
);
const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const DAY_WORD = new RegExp(
  String.raw`^(?<word>today|yesterday|${WEEKDAYS.join("|")})(?:(?:\s+at)?\s+${CLOCK})?$`,
);
const ONLY_CLOCK = new RegExp(String.raw`^(?:at\s+)?${CLOCK}$`);
const EPOCH = /^\d{9,20}(?:\.\d+)?$/;
const AGO = /^(?:now\s*-\s*|-\s*)?(\d+(?:\.\d+)?)\s*([a-z]+)(?:\s+ago)?$/;

/** `length` of time in milliseconds, such as `15m`, `2 hours`, `hour`. Undefined when it is none. */
export function parseLengthMs(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)?\s*([a-z]+)$/.exec(text.trim().toLowerCase());
  const unitMs = UNITS.find(([name]) => name.test(found?.[2] ?? ""))?.[1];
  const lengthMs = unitMs === undefined ? undefined : Number(found?.[1] ?? 1) * unitMs;
  return lengthMs !== undefined && lengthMs > 0 && lengthMs <= BACK_MS_MAX ? lengthMs : undefined;
}

/** Null when `text` is not a time. `dayOfMs`: the day that a clock alone belongs to; by default the latest that has passed. */
export function parsePoint(text: string, nowMs: number, zone: string, dayOfMs?: number): Point | null {
  const words = text.trim().toLowerCase().replace(/\s+/g, " ");
  if (words === "now") return { startMs: nowMs, endMs: nowMs, kind: "instant", relative: true };
  const ago = AGO.exec(words);
  const backMs = ago ? parseLengthMs(`${ago[1]}${ago[2]}`) : undefined;
  if (backMs !== undefined) {
    return { startMs: nowMs - backMs, endMs: nowMs - backMs, kind: "instant", relative: true };
  }
  if (EPOCH.test(words)) return epoch(words);
  const date = DATE.exec(words)?.groups;
  if (date) return dated(date, zone);
  const day = DAY_WORD.exec(words)?.groups;
  if (day) {
    const point = onDay(daysBack(day.word ?? "", nowMs, zone), day, nowMs, zone);
    return point && { ...point, relative: true };
  }
  const clock = ONLY_CLOCK.exec(words)?.groups;
  if (!clock || (clock.minute === undefined && clock.half === undefined)) return null;
  if (dayOfMs !== undefined) return onDay(0, clock, dayOfMs, zone);
  const today = onDay(0, clock, nowMs, zone);
  return today && today.startMs > nowMs ? onDay(1, clock, nowMs, zone) : today;
}

type Groups = Record<string, string | undefined>;

/** Wall time as if it were UTC, refused when it does not exist, such as 31 February. */
function wallMs(year: number, month: number, day: number): number | undefined {
  const date = new Date(Date.UTC(2000, month - 1, day));
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() : undefined;
}

function dated(date: Groups, zone: string): Point | null {
  const year = Number(date.year);
  const midnight = wallMs(year, Number(date.month ?? 1), Number(date.day ?? 1));
  if (midnight === undefined) return null;
  if (date.hour !== undefined) return clocked(midnight, date, date.zone ?? "", zone);
  const next = new Date(midnight);
  if (date.day !== undefined) next.setUTCDate(next.getUTCDate() + 1);
  else if (date.month !== undefined) next.setUTCMonth(next.getUTCMonth() + 1);
  else next.setUTCFullYear(year + 1);
  return {
    startMs: instantOf(midnight, zone),
    endMs: instantOf(next.getTime(), zone),
    kind: "day",
    relative: false,
  };
}

/** The day `back` days before that of `dayOfMs` in `zone`, or the clock time on it. */
function onDay(back: number, clock: Groups, dayOfMs: number, zone: string): Point | null {
  const midnight = Date.parse(`${formatTime(dayOfMs, zone, "day")}T00:00:00Z`) - back * DAY_MS;
  if (clock.hour !== undefined) return clocked(midnight, clock, "", zone);
  return {
    startMs: instantOf(midnight, zone),
    endMs: instantOf(midnight + DAY_MS, zone),
    kind: "day",
    relative: false,
  };
}

function clocked(midnightMs: number, clock: Groups, ownZone: string, zone: string): Point | null {
  const hour = hourOf(Number(clock.hour), clock.half);
  const [minute, second] = [Number(clock.minute ?? 0), Number(clock.second ?? 0)];
  if (hour === undefined || minute > 59 || second > 59) return null;
  const fractionMs = clock.fraction === undefined ? 0 : Number(`0.${clock.fraction}`) * 1000;
  const wall = midnightMs + hour * HOUR_MS + minute * MINUTE_MS + second * 1000 + Math.floor(fractionMs);
  const startMs = ownZone === "" ? instantOf(wall, zone) : wall - zoneOffsetMs(ownZone);
  const lengthMs =
    clock.fraction !== undefined
      ? 1
      : clock.second !== undefined
        ? 1000
        : clock.minute !== undefined
          ? MINUTE_MS
          : HOUR_MS;
  return { startMs, endMs: startMs + lengthMs, kind: "clock", relative: false };
}

/** 24:00 is the end of the day. */
function hourOf(hour: number, half: string | undefined): number | undefined {
  if (half === undefined) return hour <= 24 ? hour : undefined;
  if (hour < 1 || hour > 12) return undefined;
  return (hour % 12) + (half === "pm" ? 12 : 0);
}

function zoneOffsetMs(zone: string): number {
  if (!/^[+-]/.test(zone)) return 0;
  const digits = zone.replace(/\D/g, "").padEnd(4, "0");
  const sizeMs = Number(digits.slice(0, 2)) * HOUR_MS + Number(digits.slice(2)) * MINUTE_MS;
  return zone.startsWith("-") ? -sizeMs : sizeMs;
}

/** A weekday is the last one that has begun, and never today. */
function daysBack(word: string, nowMs: number, zone: string): number {
  if (word === "today") return 0;
  if (word === "yesterday") return 1;
  const today = new Date(Date.parse(`${formatTime(nowMs, zone, "day")}T00:00:00Z`)).getUTCDay();
  return (today - WEEKDAYS.indexOf(word) + 7) % 7 || 7;
}

function epoch(text: string): Point {
  const digits = text.replace(/\..*/, "").length;
  const perMs = digits <= 11 ? 0.001 : digits <= 14 ? 1 : digits <= 17 ? 1e3 : 1e6;
  const startMs = Math.floor(Number(text) / perMs);
  return { startMs, endMs: startMs + (perMs < 1 ? 1000 : 1), kind: "clock", relative: false };
}
