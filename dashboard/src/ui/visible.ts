/**
 * Text of a log line as it may be shown: whatever a sender put in, nothing of it acts on the page or hides. Colours of
 * terminals are left out; other control characters, and the marks that turn the direction of text, become signs.
 */

const ESCAPE = String.fromCharCode(27);
const COLOURS = new RegExp(`${ESCAPE}\\[[0-9;:]*m`, "g");
const UNSEEN = /[\p{Cc}\p{Bidi_Control}]/u;
const EACH_UNSEEN = /\r\n|[\p{Cc}\p{Bidi_Control}]/gu;

/** The names of the control characters from 0 to 31, in ISO 646's words. Few fonts have the signs that Unicode has for them. */
const CONTROLS =
  "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(
    " ",
  );

const DIRECTIONS: Readonly<Record<string, string>> = {
  "\u061c": "‹ALM›",
  "\u200e": "‹LRM›",
  "\u200f": "‹RLM›",
  "\u202a": "‹LRE›",
  "\u202b": "‹RLE›",
  "\u202c": "‹PDF›",
  "\u202d": "‹LRO›",
  "\u202e": "‹RLO›",
  "\u2066": "‹LRI›",
  "\u2067": "‹RLI›",
  "\u2068": "‹FSI›",
  "\u2069": "‹PDI›",
};

/** `lines`: whether line breaks stay ("many") or become a sign ("one"). */
export function visible(text: string, lines: "one" | "many"): string {
  if (!UNSEEN.test(text)) return text;
  return text.replace(COLOURS, "").replace(EACH_UNSEEN, (found) => sign(found, lines));
}

function sign(found: string, lines: "one" | "many"): string {
  if (found === "\n" || found === "\r\n") return lines === "many" ? "\n" : "↵";
  if (found === "\t") return found;
  const code = found.charCodeAt(0);
  if (code < 32) return `‹${CONTROLS[code]}›`;
  if (code === 127) return "‹DEL›";
  return DIRECTIONS[found] ?? "�";
}

/** The first `lengthMax` characters, without half of a pair at the end. */
export function cut(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  const last = text.charCodeAt(lengthMax - 1);
  const isHigh = last >= 0xd800 && last < 0xdc00;
  return text.slice(0, isHigh ? lengthMax - 1 : lengthMax);
}

/** A part of a text, and whether it is to stand out. */
export interface Part {
  text: string;
  marked: boolean;
}

/** `text` in parts, those that a pattern finds marked. Patterns must be global. */
export function marked(text: string, patterns: readonly RegExp[]): Part[] {
  const spans: [number, number][] = [];
  for (const pattern of patterns) {
    for (const match of text.matchAll(pattern)) {
      if (match[0].length > 0) spans.push([match.index, match.index + match[0].length]);
    }
  }
  if (spans.length === 0) return [{ text, marked: false }];
  spans.sort((a, b) => a[0] - b[0]);
  const parts: Part[] = [];
  let at = 0;
  for (const [start, end] of spans) {
    if (end <= at) continue;
    const from = Math.max(start, at);
    if (from > at) parts.push({ text: text.slice(at, from), marked: false });
    parts.push({ text: text.slice(from, end), marked: true });
    at = end;
  }
  if (at < text.length) parts.push({ text: text.slice(at), marked: false });
  return parts;
}
