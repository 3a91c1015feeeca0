/** What is offered at a place in a query: fields, values and operators that fit what is typed. */
import { LEVELS } from "../ui/levels";
import { visible } from "../ui/visible";
import type { Context } from "./context";
import { fieldName, quoteValue } from "./edit";

export interface Counted {
  name: string;
  count: number | null;
}

export interface Offer {
  label: string;
  /** What is written in its place. */
  insert: string;
  /** Events that have it, or what an operator means. */
  detail: string;
  kind: "field" | "value" | "operator";
}

const OFFERS_MAX = 50;
const LABEL_LENGTH_MAX = 120;
export const STANDARD_FIELDS = ["level", "service", "host", "message", "trace_id", "span_id", "timestamp"];

const JOINERS: readonly Offer[] = [
  { label: "AND", insert: "AND ", detail: "both", kind: "operator" },
  { label: "OR", insert: "OR ", detail: "either", kind: "operator" },
  { label: "NOT", insert: "NOT ", detail: "without what follows", kind: "operator" },
];
const COMPARISONS: readonly Offer[] = [
  { label: "*", insert: "*", detail: "has the field", kind: "operator" },
  { label: ">=", insert: ">=", detail: "at least", kind: "operator" },
  { label: "<", insert: "<", detail: "less than", kind: "operator" },
  { label: "[… TO …]", insert: "[", detail: "from … to", kind: "operator" },
];

/** Fields by how many events have them, and the operators where they may stand. */
export function termOffers(context: Context & { kind: "term" }, fields: readonly Counted[]): Offer[] {
  const known = new Set(fields.map((each) => each.name));
  const all = [
    ...fields,
    ...STANDARD_FIELDS.filter((each) => !known.has(each)).map((name) => ({ name, count: null })),
  ];
  const named = fitting(all, context.prefix).map<Offer>((each) => ({
    label: visible(each.name, "one"),
    insert: fieldName(each.name) + (context.hasColon ? "" : ":"),
    detail: countText(each.count),
    kind: "field",
  }));
  const joiners = JOINERS.filter(
    (each) =>
      (context.followsTerm || each.label === "NOT") &&
      each.label.startsWith(context.prefix) &&
      !context.hasColon,
  );
  // An operator is meant when it is written in capitals, or when nothing is written behind a term.
  return context.prefix === "" && !context.followsTerm ? [...named, ...joiners] : [...joiners, ...named];
}

export function valueOffers(context: Context & { kind: "value" }, values: readonly Counted[]): Offer[] {
  const all = context.field === "level" ? withLevels(values) : values;
  const found = fitting(all, context.prefix).map<Offer>((each) => ({
    label: visible(each.name.slice(0, LABEL_LENGTH_MAX), "one"),
    insert: quoteValue(each.name),
    detail: countText(each.count),
    kind: "value",
  }));
  return context.prefix === "" ? [...found, ...COMPARISONS] : found;
}

function withLevels(values: readonly Counted[]): Counted[] {
  const known = new Set(values.map((each) => each.name));
  return [...values, ...LEVELS.filter((each) => !known.has(each)).map((name) => ({ name, count: null }))];
}

/** What begins with the typed text first, then what holds it. */
function fitting(all: readonly Counted[], typed: string): Counted[] {
  const lower = typed.toLowerCase();
  const begins = all.filter((each) => each.name.toLowerCase().startsWith(lower));
  const holds = all.filter((each) => each.name.toLowerCase().indexOf(lower) > 0);
  return [...begins, ...holds].slice(0, OFFERS_MAX);
}

function countText(count: number | null): string {
  return count === null ? "" : count.toLocaleString("en");
}
