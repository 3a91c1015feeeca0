/**
 * Edits of a query by a click: a condition is added, turned round or taken away, and everything else in it keeps its
 * meaning. Conditions on a field that stand side by side, or joined by AND, at the outermost level are the ones that are
 * found; where an OR stands there, the query is put in brackets first.
 */
import { plainText, type Token, tokenize } from "./tokens";

/** A value that means itself without quotes: no sign that the query language reads, and no operator. */
const BARE = /^[\p{L}\p{N}_][\p{L}\p{N}_.,:;@%+=#$&|'-]*$/u;
const OPERATOR = /^(?:AND|OR|NOT|TO)$/;
/** A message is looked for as a phrase, so its beginning is enough where all of it would be too long for a query. */
const MESSAGE_LENGTH_MAX = 400;

/** `value` as it is written behind `field:` so that it means just itself. */
export function quoteValue(value: string): string {
  if (BARE.test(value) && !OPERATOR.test(value)) return value;
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** The name of a field as it is written before the colon. */
export function fieldName(name: string): string {
  const escaped = name.replace(/[\s:()[\]{}"~^\\*?]/g, "\\$&").replace(/^[-+!/<>&|]/, "\\$&");
  return OPERATOR.test(escaped) || /^\d+$/.test(escaped) ? `attributes.${escaped}` : escaped;
}

/** `field:value`; with `value` null, events without the field. `out` turns it round. */
export function condition(field: string, value: string | null, how: "for" | "out"): string {
  const isNegated = (value === null) === (how === "for");
  const text = value === null ? "*" : quoteValue(field === "message" ? beginning(value) : value);
  return `${isNegated ? "NOT " : ""}${fieldName(field)}:${text}`;
}

/** The query with the condition: added, kept when it was there, or in the place of its opposite. */
export function addFilter(query: string, field: string, value: string | null, how: "for" | "out"): string {
  const added = condition(field, value, how);
  const text = query.trim();
  if (text === "") return added;
  if (hasOuterOr(text)) return `(${text}) AND ${added}`;
  const { isNegated, isSame } = matcher(field, value, how);
  const present = conditions(text).find((each) => isSame(each));
  if (present?.negated === isNegated) return text;
  if (present) return text.slice(0, present.from) + added + text.slice(present.to);
  return `${text} AND ${added}`;
}

/** The query without the condition. What does not hold it comes back as it was. */
export function removeFilter(query: string, field: string, value: string | null, how: "for" | "out"): string {
  const text = query.trim();
  if (hasOuterOr(text)) return text;
  const { isNegated, isSame } = matcher(field, value, how);
  const present = conditions(text).find((each) => isSame(each) && each.negated === isNegated);
  if (!present) return text;
  const before = text.slice(0, present.from).trimEnd();
  const after = text.slice(present.to).trimStart();
  const left = after === "" ? before.replace(/(?:^|\s+)(?:AND|&&)$/, "") : before;
  const right = left === "" || endsWithAnd(left) ? after.replace(/^(?:AND|&&)\s+/, "") : after;
  return `${left} ${right}`.trim();
}

/** Whether OR joins anything outside of all brackets. */
export function hasOuterOr(query: string): boolean {
  let depth = 0;
  for (const token of tokenize(query)) {
    if (token.kind === "open") depth++;
    if (token.kind === "close") depth--;
    const word = query.slice(token.from, token.to);
    if (depth === 0 && token.kind === "operator" && (word === "OR" || word === "||")) return true;
  }
  return false;
}

interface Condition {
  field: string;
  /** Null: `field:*`. */
  value: string | null;
  negated: boolean;
  from: number;
  to: number;
}

/** The conditions of the form `field:value` outside of all brackets, with what negates them. */
function conditions(query: string): Condition[] {
  const tokens = tokenize(query);
  const found: Condition[] = [];
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    if (token.kind === "open") depth++;
    if (token.kind === "close") depth--;
    const value = tokens[index + 2];
    if (depth !== 0 || token.kind !== "field" || value === undefined) continue;
    const written = query.slice(value.from, value.to);
    if (value.kind !== "word" && value.kind !== "phrase" && written !== "*") continue;
    const { negations, from } = signsBefore(query, tokens, index);
    found.push({
      field: plainText(query.slice(token.from, token.to)),
      value: written === "*" ? null : plainText(written),
      negated: negations % 2 === 1,
      from,
      to: value.to,
    });
  }
  return found;
}

/** How often the token at `index` is negated, and where that begins. */
function signsBefore(query: string, tokens: Token[], index: number): { negations: number; from: number } {
  let negations = 0;
  let first = index;
  for (let each = tokens[first - 1]; each !== undefined; each = tokens[first - 1]) {
    const word = query.slice(each.from, each.to);
    if (each.kind !== "sign" && word !== "NOT") break;
    if (word !== "+") negations++;
    first--;
  }
  return { negations, from: tokens[first]?.from ?? 0 };
}

function matcher(field: string, value: string | null, how: "for" | "out") {
  const wanted = value === null ? null : field === "message" ? beginning(value) : value;
  return {
    isNegated: (value === null) === (how === "for"),
    // The server compares values regardless of the case of A to Z.
    isSame: (each: Condition) =>
      each.field === field &&
      (wanted === null ? each.value === null : each.value?.toLowerCase() === wanted.toLowerCase()),
  };
}

function endsWithAnd(text: string): boolean {
  return /(?:^|\s)(?:AND|&&|NOT)$/.test(text);
}

function beginning(message: string): string {
  if (message.length <= MESSAGE_LENGTH_MAX) return message;
  return (
    message
      .slice(0, MESSAGE_LENGTH_MAX)
      .replace(/[\p{L}\p{N}_]+$/u, "")
      .trimEnd() || message.slice(0, MESSAGE_LENGTH_MAX)
  );
}
