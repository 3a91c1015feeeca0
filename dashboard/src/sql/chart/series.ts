import type { Answer, Row } from "../answer";
import { wholeText } from "../cells";
import { columnAt, type Plan } from "./plan";

/** The theme has so many colours for series; more could not be told apart. */
export const SERIES_MAX = 10;
export const CATEGORIES_MAX = 40;

export interface Series {
  name: string;
  /** A value for each place on the x axis; null: none. */
  values: (number | null)[];
}

export interface Drawn<X> {
  /** Places on the x axis: seconds since 1970 or numbers, ascending; or the names of categories in the rows' order. */
  xs: X[];
  /** The largest first. */
  series: Series[];
  /** Series and places that were left out. */
  seriesLeftOut: number;
  placesLeftOut: number;
  /** Whether several rows fell on one place of one series, and were added up. */
  added: boolean;
}

/** Over time, or over a column of numbers. */
export function overNumbers(answer: Answer, plan: Plan): Drawn<number> {
  const index = columnAt(answer.columns, plan.x);
  const isTime = answer.columns[index]?.kind === "time";
  const gathered = gather(answer, plan, (row) => {
    const value = isTime ? secondsOf(row[index]) : numberOf(row[index]);
    return value === null || !Number.isFinite(value) ? null : value;
  });
  const order = gathered.xs.map((_, at) => at).sort((a, b) => (gathered.xs[a] ?? 0) - (gathered.xs[b] ?? 0));
  return {
    ...gathered,
    xs: order.map((at) => gathered.xs[at] ?? 0),
    series: gathered.series.map((each) => ({
      ...each,
      values: order.map((at) => each.values[at] ?? null),
    })),
  };
}

/** Over the values of any other column. */
export function overCategories(answer: Answer, plan: Plan): Drawn<string> {
  const index = columnAt(answer.columns, plan.x);
  const gathered = gather(answer, plan, (row) => nameOf(row[index]));
  return {
    ...gathered,
    xs: gathered.xs.slice(0, CATEGORIES_MAX),
    series: gathered.series.map((each) => ({ ...each, values: each.values.slice(0, CATEGORIES_MAX) })),
    placesLeftOut: Math.max(0, gathered.xs.length - CATEGORIES_MAX),
  };
}

function gather<X>(answer: Answer, plan: Plan, xOf: (row: Row) => X | null): Drawn<X> {
  const byIndex = columnAt(answer.columns, plan.by);
  const places = new Map<X, number>();
  const named = new Map<string, Map<number, number>>();
  let added = false;
  for (const name of plan.y) {
    const yIndex = columnAt(answer.columns, name);
    for (const row of answer.rows) {
      const x = xOf(row);
      const y = numberOf(row[yIndex]);
      if (x === null) continue;
      const place = placeOf(places, x);
      if (y === null || !Number.isFinite(y)) continue;
      const series = seriesOf(named, byIndex < 0 ? name : seriesName(plan, name, row[byIndex]));
      const before = series.get(place);
      added ||= before !== undefined;
      series.set(place, (before ?? 0) + y);
    }
  }
  const xs = [...places.keys()];
  const largest = [...named].sort(([, a], [, b]) => weight(b) - weight(a)).slice(0, SERIES_MAX);
  return {
    xs,
    series: largest.map(([name, values]) => ({ name, values: xs.map((_, at) => values.get(at) ?? null) })),
    seriesLeftOut: named.size - largest.length,
    placesLeftOut: 0,
    added,
  };
}

function placeOf<X>(places: Map<X, number>, x: X): number {
  const known = places.get(x);
  if (known !== undefined) return known;
  places.set(x, places.size);
  return places.size - 1;
}

function seriesOf(named: Map<string, Map<number, number>>, name: string): Map<number, number> {
  let series = named.get(name);
  if (!series) {
    series = new Map();
    named.set(name, series);
  }
  return series;
}

function seriesName(plan: Plan, y: string, value: unknown): string {
  return plan.y.length > 1 ? `${nameOf(value)} · ${y}` : nameOf(value);
}

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  const text = wholeText(value);
  return text === "" ? "(empty)" : text.slice(0, 200);
}

function weight(values: Map<number, number>): number {
  let sum = 0;
  for (const each of values.values()) sum += Math.abs(each);
  return sum;
}

function numberOf(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

/** ISO 8601; what has no zone is UTC, as on the server. */
export function secondsOf(value: unknown): number | null {
  if (typeof value !== "string") return null;
  const zoned = value.endsWith("Z") || !value.includes("T") ? value : `${value}Z`;
  return Date.parse(zoned) / 1000;
}

/** Each series upon those before it, for bars and areas that show a sum. */
export function stacked(series: readonly Series[]): Series[] {
  const sums: number[] = [];
  return series.map((each) => ({
    name: each.name,
    values: each.values.map((value, at) => {
      const sum = (sums[at] ?? 0) + (value ?? 0);
      sums[at] = sum;
      return sum;
    }),
  }));
}
