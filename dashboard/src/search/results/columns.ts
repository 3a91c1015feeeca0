import type { LogEvent } from "../../api/client";
import { readText, writeText } from "../../ui/kept";

/** Columns of the table. The time is always the first and is none of `columns`. */
export const TIME = "timestamp";

export const WIDTH_MIN = 56;
const WIDTH_MAX = 2000;
const WIDTH_OTHER = 150;
const WIDTHS: ReadonlyMap<string, number> = new Map([
  ["timestamp", 204],
  ["observed_timestamp", 204],
  ["level", 66],
  ["service", 140],
  ["message", 320],
  ["trace_id", 130],
  ["span_id", 130],
]);
const KEY = "tailrace-column-widths";

export type Widths = Readonly<Record<string, number>>;

/** Widths that were chosen, by column, in pixels. */
export function keptWidths(): Widths {
  try {
    const kept: unknown = JSON.parse(readText(KEY) ?? "{}");
    if (typeof kept !== "object" || kept === null) return {};
    return Object.fromEntries(
      Object.entries(kept).filter((each): each is [string, number] => typeof each[1] === "number"),
    );
  } catch {
    return {};
  }
}

export function keepWidths(widths: Widths): void {
  writeText(KEY, JSON.stringify(widths));
}

export function widthOf(column: string, widths: Widths): number {
  const chosen = Object.hasOwn(widths, column) ? widths[column] : undefined;
  const width = chosen ?? WIDTHS.get(column) ?? WIDTH_OTHER;
  return Math.min(Math.max(width, WIDTH_MIN), WIDTH_MAX);
}

/** The grid's columns in CSS: the message takes the room that is left, or the last column where there is no message. */
export function template(columns: readonly string[], widths: Widths): string {
  const growing = columns.includes("message") ? "message" : (columns.at(-1) ?? TIME);
  return [TIME, ...columns]
    .map((column) => {
      const width = `${widthOf(column, widths)}px`;
      return column === growing ? `minmax(${width}, 1fr)` : width;
    })
    .join(" ");
}

/** Least width of the whole table, in pixels. */
export function tableWidth(columns: readonly string[], widths: Widths): number {
  return [TIME, ...columns].reduce((sum, column) => sum + widthOf(column, widths), 0);
}

/** `columns` with `column` at the place `to`. */
export function moved(columns: readonly string[], column: string, to: number): string[] {
  const others = columns.filter((each) => each !== column);
  others.splice(Math.max(0, to), 0, column);
  return others;
}

/** `columns` without `column`, or with it: before the message, which is the widest and best read last. */
export function toggled(columns: readonly string[], column: string): string[] {
  if (columns.includes(column)) return columns.filter((each) => each !== column);
  return columns.at(-1) === "message" ? [...columns.slice(0, -1), column, "message"] : [...columns, column];
}

const MEMBERS: ReadonlySet<string> = new Set([
  "timestamp",
  "observed_timestamp",
  "level",
  "message",
  "service",
  "host",
  "trace_id",
  "span_id",
]);

/** Whether it is a field of every event, and no attribute. */
export function isMember(field: string): boolean {
  return MEMBERS.has(field);
}

/** Text of a field; null when the event has none. */
export function fieldValue(event: LogEvent, field: string): string | null {
  if (isMember(field)) return event[field as keyof Omit<LogEvent, "attributes">];
  const name = field.startsWith("attributes.") ? field.slice("attributes.".length) : field;
  const found = [field, name].find((each) => Object.hasOwn(event.attributes, each));
  return found === undefined ? null : (event.attributes[found] ?? null);
}
