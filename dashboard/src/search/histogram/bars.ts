/** Bars by their place along the chart, and what a chosen stretch of them means in time. */
import { instantText } from "../../time/label";
import type { TimeSpan } from "../../time/range";
import { formatTime } from "../../time/zone";
import type { DrawnHistogram } from "./stack";

/** The bar at `share` (0 to 1) of the width. */
export function barAt(share: number, bars: number): number {
  return Math.min(bars - 1, Math.max(0, Math.floor(share * bars)));
}

/** From the start of one bar to the end of another, in either order, and not past what was searched. */
export function spanOfBars(
  histogram: DrawnHistogram,
  one: number,
  other: number,
  within: TimeSpan,
): TimeSpan {
  const first = histogram.startsMs[Math.min(one, other)] ?? 0;
  const last = histogram.startsMs[Math.max(one, other)] ?? 0;
  const startMs = Math.max(first, within.startMs ?? first);
  const endMs = Math.min(last + histogram.intervalMs, within.endMs ?? Number.POSITIVE_INFINITY);
  return { startMs, endMs: Math.max(endMs, startMs + 1) };
}

/** "10:00:15 – 10:00:30", with the day in front. */
export function barText(histogram: DrawnHistogram, one: number, other: number, zone: string): string {
  const startMs = histogram.startsMs[Math.min(one, other)];
  const lastMs = histogram.startsMs[Math.max(one, other)];
  if (startMs === undefined || lastMs === undefined) return "";
  const [start, end] = [instantText(startMs, zone), instantText(lastMs + histogram.intervalMs, zone)];
  return `${start} – ${end.slice(0, 10) === start.slice(0, 10) ? end.slice(11) : end}`;
}

/** What stands under the ticks of the time axis that are `stepS` apart: the day wherever a new one begins. */
export function tickTexts(ticksS: readonly number[], stepS: number, zone: string): string[] {
  let day = "";
  return ticksS.map((tickS) => {
    const text = formatTime(Math.round(tickS * 1000), zone, "millisecond");
    const [date = "", clock = ""] = text.split(" ");
    const isNewDay = date !== day;
    day = date;
    if (stepS >= 28 * 86_400) return date.slice(0, 7);
    if (stepS >= 86_400 || (isNewDay && clock.startsWith("00:00:00.000"))) return date.slice(5);
    if (stepS >= 60) return clock.slice(0, 5);
    return stepS >= 1 ? clock.slice(0, 8) : clock;
  });
}

/** `12 k`: a count where there is little room. */
export function compactCount(count: number): string {
  return new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 }).format(count);
}
