/**
 * The zone that times are shown and typed in, chosen once for the whole page and kept in this browser, and the text of an
 * instant in it.
 */
import { useSyncExternalStore } from "react";

const KEY = "tailrace-zone";
const QUARTER_MS = 15 * 60_000;

/** The zone of the machine that the browser runs on. */
export const BROWSER_ZONE: string = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const listeners = new Set<() => void>();
const formats = new Map<string, Intl.DateTimeFormat>();
const offsets = new Map<string, number>();
const OFFSETS_MAX = 20_000;

/** Whether the browser knows the zone: `UTC`, `Europe/Berlin`. */
export function isZone(zone: string): boolean {
  try {
    formatOf(zone);
    return true;
  } catch {
    return false;
  }
}

/** What was chosen: empty for the browser's zone, or the name of one. */
export function chosenZone(): string {
  try {
    const kept = localStorage.getItem(KEY) ?? "";
    return kept !== "" && isZone(kept) ? kept : "";
  } catch {
    return ""; // a browser that keeps nothing
  }
}

let chosen = chosenZone();

/** Shows all times of the page in `zone`; empty is the browser's. */
export function chooseZone(zone: string): void {
  chosen = zone;
  try {
    localStorage.setItem(KEY, zone);
  } catch {
    // It holds until the page is left.
  }
  for (const each of listeners) each();
}

function listen(changed: () => void): () => void {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

/** Name of the zone to show times in, such as `Europe/Berlin`. */
export function useZone(): string {
  return useSyncExternalStore(listen, () => chosen) || BROWSER_ZONE;
}

/** What was chosen, live: empty for the browser's zone. */
export function useChosenZone(): string {
  return useSyncExternalStore(listen, () => chosen);
}

export type Precision = "day" | "minute" | "second" | "millisecond" | "microsecond";

/** Length of `YYYY-MM-DD HH:MM:SS.ffffff` at each precision. */
const LENGTH: Readonly<Record<Precision, number>> = {
  day: 10,
  minute: 16,
  second: 19,
  millisecond: 23,
  microsecond: 26,
};

/** `2025-03-28 10:00:00.123` in `zone`. `instant`: milliseconds since 1970, or ISO 8601 in UTC as the API writes it. */
export function formatTime(
  instant: number | string,
  zone: string,
  precision: Precision = "millisecond",
): string {
  const ms = typeof instant === "number" ? instant : Date.parse(instant);
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15 - 86_400_000) return String(instant);
  const micros = typeof instant === "string" ? (/\.\d{3}(\d{3})/.exec(instant)?.[1] ?? "000") : "000";
  const text = new Date(ms + offsetMs(ms, zone)).toISOString().replace("T", " ").replace("Z", micros);
  return text.slice(0, text.length - LENGTH.microsecond + LENGTH[precision]);
}

/** How far `zone` is ahead of UTC at an instant. Asked for each row, so it is remembered by the quarter of an hour. */
export function offsetMs(ms: number, zone: string): number {
  if (zone === "UTC") return 0;
  const quarter = Math.floor(ms / QUARTER_MS);
  const key = `${zone} ${quarter}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  const offset = computeOffsetMs(quarter * QUARTER_MS, zone);
  if (offsets.size >= OFFSETS_MAX) offsets.clear();
  offsets.set(key, offset);
  return offset;
}

/** `UTC+02:00`: what the zone is called at an instant. */
export function offsetText(ms: number, zone: string): string {
  const minutes = Math.round(offsetMs(ms, zone) / 60_000);
  if (minutes === 0) return "UTC";
  const size = Math.abs(minutes);
  const two = (part: number) => String(part).padStart(2, "0");
  return `UTC${minutes < 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** All zones that the browser knows, for a choice. */
export function zones(): string[] {
  return Intl.supportedValuesOf("timeZone");
}

/**
 * The instant at which clocks in `zone` show this wall time, given as if it were UTC. In the hour that spring leaves out it
 * is the instant after the gap by as much; of the two of autumn it is the first.
 */
export function instantOf(wallMs: number, zone: string): number {
  const before = wallMs - offsetMs(wallMs - 86_400_000, zone);
  const after = wallMs - offsetMs(wallMs + 86_400_000, zone);
  const fits = [before, after]
    .filter((each) => each + offsetMs(each, zone) === wallMs)
    .sort((one, other) => one - other);
  return fits[0] ?? before;
}

function computeOffsetMs(ms: number, zone: string): number {
  const part: Record<string, number> = {};
  for (const each of formatOf(zone).formatToParts(ms)) part[each.type] = Number(each.value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      calendar: "gregory",
      numberingSystem: "latn",
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(zone, format);
  }
  return format;
}
