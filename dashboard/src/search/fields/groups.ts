import type { Schemas } from "../../api/client";
import { isMember } from "../results/columns";

export type FieldCount = Schemas["FieldCount"];

export interface Group {
  name: string;
  fields: FieldCount[];
}

/** Every event has them, and the table shows the time anyhow. */
const LEFT_OUT: ReadonlySet<string> = new Set(["timestamp", "observed_timestamp"]);
const ORDER = ["level", "service", "host", "message", "trace_id", "span_id"];

/** Fields whose names hold `wanted`: those of every event in their usual order, then attributes, most frequent first. */
export function grouped(fields: readonly FieldCount[], wanted: string): Group[] {
  const text = wanted.trim().toLowerCase();
  const found = fields.filter(
    (field) => !LEFT_OUT.has(field.name) && field.name.toLowerCase().includes(text),
  );
  const standard = found
    .filter((field) => isMember(field.name))
    .sort((a, b) => ORDER.indexOf(a.name) - ORDER.indexOf(b.name));
  const attributes = found.filter((field) => !isMember(field.name));
  return [
    { name: "Standard", fields: standard },
    { name: "Attributes", fields: attributes },
  ].filter((group) => group.fields.length > 0);
}

/** `12%`; shares that round to nothing or to everything say so honestly. */
export function percent(part: number, whole: number): string {
  if (whole <= 0) return "–";
  const share = (100 * part) / whole;
  if (part > 0 && share < 0.1) return "<0.1%";
  if (part < whole && share > 99.9) return ">99.9%";
  return `${share < 10 ? share.toFixed(1).replace(/\.0$/, "") : Math.round(share)}%`;
}

const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** `1.2K`: a number in little room. */
export function shortNumber(value: number): string {
  return SHORT.format(value);
}
