/** Rules that make words stand out in the live list. They are kept in this browser. */

export const COLOURS = ["yellow", "blue", "green", "orange", "red", "purple"] as const;
export type Colour = (typeof COLOURS)[number];

export interface Rule {
  /** Words, or, between slashes, a regular expression: `/time(out|d out)/`. */
  text: string;
  colour: Colour;
}

/** A rule ready to be used. */
export interface Marker {
  pattern: RegExp;
  colour: Colour;
}

export interface Part {
  text: string;
  colour: Colour | null;
}

const KEY = "tailrace-highlights";
export const RULES_MAX = 12;
/** Of one text; a pattern that fits everywhere must not make thousands of elements. */
const PARTS_MAX = 100;

/** The rule as a pattern, or why it is none. Capitals do not matter, but in an expression of `/…/c`. */
export function compile(text: string): RegExp | string {
  const expression = /^\/(.+)\/(c?)$/s.exec(text);
  const source = expression?.[1] ?? text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  if (text.trim() === "") return "Type a word, or an expression between slashes.";
  try {
    return new RegExp(source, expression?.[2] ? "gu" : "giu");
  } catch (error) {
    return error instanceof Error ? error.message : "This is no regular expression.";
  }
}

export function markersOf(rules: readonly Rule[]): Marker[] {
  return rules.flatMap(({ text, colour }) => {
    const pattern = compile(text);
    return typeof pattern === "string" ? [] : [{ pattern, colour }];
  });
}

/** `text` cut where colours change. Where rules meet, the earlier rule wins. */
export function paint(text: string, markers: readonly Marker[]): Part[] {
  let parts: Part[] = [{ text, colour: null }];
  for (const marker of markers)
    parts = parts.flatMap((part) => (part.colour === null ? split(part.text, marker) : [part]));
  return parts;
}

function split(text: string, { pattern, colour }: Marker): Part[] {
  const parts: Part[] = [];
  let done = 0;
  for (const match of text.matchAll(pattern)) {
    if (parts.length >= PARTS_MAX) break;
    if (match[0] === "") continue;
    if (match.index > done) parts.push({ text: text.slice(done, match.index), colour: null });
    parts.push({ text: match[0], colour });
    done = match.index + match[0].length;
  }
  if (done < text.length) parts.push({ text: text.slice(done), colour: null });
  return parts;
}

export function readRules(): Rule[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter(isRule).slice(0, RULES_MAX) : [];
  } catch {
    return []; // a browser that keeps nothing, or something that is not ours
  }
}

export function keepRules(rules: readonly Rule[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(rules));
  } catch {
    // They hold until the page is left.
  }
}

function isRule(each: unknown): each is Rule {
  const rule = each as Rule;
  return typeof rule?.text === "string" && COLOURS.includes(rule.colour);
}
