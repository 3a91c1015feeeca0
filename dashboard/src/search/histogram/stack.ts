/** The API's histogram as what is drawn: few series in an order that means something, and the heights of the bars. */
import type { Schemas } from "../../api/client";
import { LEVELS, levelArea } from "../../ui/levels";
import { visible } from "../../ui/visible";

export interface DrawnSeries {
  kind: "value" | "absent" | "others";
  /** Null unless `kind` is `value`. */
  value: string | null;
  label: string;
  /** A CSS colour, `var(--…)`. */
  color: string;
  count: number;
  /** In each bucket. */
  counts: number[];
}

export interface DrawnHistogram {
  /** Name of the field that splits it; empty when none does. */
  by: string;
  count: number;
  intervalMs: number;
  startsMs: number[];
  totals: number[];
  /** From the base of the bars upwards. */
  series: DrawnSeries[];
}

/** Colours that can be told apart are no more than these. */
const PALETTE_LENGTH = 10;
const LABEL_LENGTH_MAX = 80;

export function drawnHistogram(answer: Schemas["Histogram"]): DrawnHistogram {
  const by = answer.by ?? "";
  const all = answer.series.map<DrawnSeries>((each, index) => ({
    kind: each.kind,
    value: each.kind === "value" ? each.value : null,
    label: each.kind === "value" ? shown(each.value ?? "") : each.kind === "absent" ? `no ${by}` : "others",
    color: "",
    count: each.count,
    counts: answer.buckets.map((bucket) => bucket.counts[index] ?? 0),
  }));
  return {
    by,
    count: answer.count,
    intervalMs: answer.interval_s * 1000,
    startsMs: answer.buckets.map((bucket) => Date.parse(bucket.start)),
    totals: answer.buckets.map((bucket) => bucket.count),
    series: by === "" ? unsplit(answer) : by === "level" ? bySeverity(all) : byFrequency(all),
  };
}

/** Long values are told apart by their beginning; an empty one has to be seen too. */
function shown(value: string): string {
  return value === "" ? "(empty)" : visible(value.slice(0, LABEL_LENGTH_MAX), "one");
}

function unsplit(answer: Schemas["Histogram"]): DrawnSeries[] {
  const counts = answer.buckets.map((bucket) => bucket.count);
  const color = "var(--series-1)";
  return [{ kind: "others", value: null, label: "events", color, count: answer.count, counts }];
}

/** The worst at the base, where its height can be compared from bar to bar. */
function bySeverity(all: readonly DrawnSeries[]): DrawnSeries[] {
  const ranks: readonly (string | null)[] = LEVELS;
  const rank = (each: DrawnSeries) => ranks.indexOf(each.value);
  return all
    .map((each) => ({ ...each, color: levelArea(each.value) }))
    .sort((one, other) => rank(other) - rank(one));
}

/** The most frequent at the base; the rarer ones are one series, and events without the field lie on top. */
function byFrequency(all: readonly DrawnSeries[]): DrawnSeries[] {
  const values = all.filter((each) => each.kind === "value");
  const shown = values
    .slice(0, PALETTE_LENGTH)
    .map((each, index) => ({ ...each, color: `var(--series-${index + 1})` }));
  const rest = [...values.slice(PALETTE_LENGTH), ...all.filter((each) => each.kind === "others")];
  const absent = all
    .filter((each) => each.kind === "absent")
    .map((each) => ({ ...each, color: "var(--bar-none)" }));
  return rest.length === 0 ? [...shown, ...absent] : [...shown, together(rest), ...absent];
}

function together(series: readonly DrawnSeries[]): DrawnSeries {
  const counts = (series[0]?.counts ?? []).map((_, index) =>
    series.reduce((sum, each) => sum + (each.counts[index] ?? 0), 0),
  );
  const count = series.reduce((sum, each) => sum + each.count, 0);
  return { kind: "others", value: null, label: "others", color: "var(--series-others)", count, counts };
}

/**
 * Where each series ends above the base, for drawing. What is there at all is at least `least` of the whole height: one
 * error among a million lines is what somebody looks for.
 */
export function stackedTops(
  series: readonly DrawnSeries[],
  least: number,
): { tops: number[][]; max: number } {
  const buckets = series[0]?.counts.length ?? 0;
  const sums = new Array<number>(buckets).fill(0);
  for (const each of series)
    for (const [index, count] of each.counts.entries()) sums[index] = (sums[index] ?? 0) + count;
  const leastCount = Math.max(0, ...sums) * least;
  const heights = new Array<number>(buckets).fill(0);
  const tops = series.map((each) =>
    each.counts.map((count, index) => {
      const top = (heights[index] ?? 0) + (count === 0 ? 0 : Math.max(count, leastCount));
      heights[index] = top;
      return top;
    }),
  );
  return { tops, max: Math.max(0, ...heights) };
}
