/** What of a line a query has found: patterns for the words, phrases, wildcards and expressions that are not negated. */
import { plainText, type TokenKind, tokenize } from "../../query/tokens";

export interface Highlights {
  /** For the message. */
  message: readonly RegExp[];
  /** For every other field: only what was looked for without naming a field. */
  others: readonly RegExp[];
}

const MESSAGE_NAMES: ReadonlySet<string> = new Set(["message", "msg", "_msg"]);
const TERMS: ReadonlySet<TokenKind> = new Set(["word", "phrase", "wildcard", "regex"]);
/** The server's words: letters, digits, `_` and everything beyond ASCII. */
const WORD = "[\\w\\u0080-\\uffff]";
const SIGNS = "[^\\w\\u0080-\\uffff]";
const STARS_MAX = 3;

interface Scope {
  field: string | null;
  negated: boolean;
}

export function highlights(query: string): Highlights {
  const message: RegExp[] = [];
  const others: RegExp[] = [];
  const outer: Scope[] = [{ field: null, negated: false }];
  let field: string | null = null;
  let negated = false;
  const rest = () => {
    field = outer.at(-1)?.field ?? null;
    negated = outer.at(-1)?.negated ?? false;
  };
  for (const token of tokenize(query)) {
    const text = query.slice(token.from, token.to);
    if (token.kind === "field") field = plainText(text);
    else if (text === "NOT" || text === "!" || (text === "-" && token.kind === "sign")) negated = !negated;
    else if (token.kind === "open") outer.push({ field, negated });
    else if (token.kind === "close") {
      if (outer.length > 1) outer.pop();
      rest();
    } else if (TERMS.has(token.kind)) {
      const pattern = negated ? undefined : patternOf(token.kind, text);
      if (pattern && (field === null || MESSAGE_NAMES.has(field))) message.push(pattern);
      if (pattern && field === null) others.push(pattern);
      rest();
    } else if (token.kind === "range") rest();
  }
  return { message, others };
}

function patternOf(kind: TokenKind, text: string): RegExp | undefined {
  if (kind === "regex") return regexPattern(text);
  if (kind === "wildcard") return wildcardPattern(text);
  return wordsPattern(plainText(text));
}

/** Words side by side, with any signs between; a phrase of signs only as it stands. */
function wordsPattern(phrase: string): RegExp | undefined {
  const words = phrase.match(new RegExp(`${WORD}+`, "g"));
  if (words === null) return phrase.trim() === "" ? undefined : new RegExp(escaped(phrase), "g");
  return new RegExp(`(?<!${WORD})${words.join(`${SIGNS}{1,64}`)}(?!${WORD})`, "gi");
}

function wildcardPattern(text: string): RegExp | undefined {
  if (text === "*") return undefined;
  let pattern = "";
  let stars = 0;
  for (const part of text.match(/\\.|[^\\]/gsu) ?? []) {
    if (part === "*") stars++;
    // Stars are bounded: each more would multiply the time that a long word takes.
    pattern += part === "*" ? `${WORD}{0,64}` : part === "?" ? WORD : escaped(plainText(part));
  }
  return stars > STARS_MAX ? undefined : new RegExp(`(?<!${WORD})${pattern}(?!${WORD})`, "gi");
}

/**
 * The server's expressions take linear time and the browser's do not, so a link could make the page stand still. Only
 * those with at most one repetition, and none of a group, are looked for here.
 */
function regexPattern(text: string): RegExp | undefined {
  const inner = text.slice(1, -1).replaceAll("\\/", "/");
  const ignoresCase = inner.startsWith("(?i)");
  const source = ignoresCase ? inner.slice(4) : inner;
  const plain = source.replace(/\\./gs, "x").replace(/\[[^\]]*\]/g, "x");
  const repetitions = plain.match(/[*+]|\{\d*,?\d*\}/g)?.length ?? 0;
  if (source === "" || repetitions > 1 || /\)[*+?{]/.test(plain)) return undefined;
  try {
    return new RegExp(source, ignoresCase ? "gi" : "g");
  } catch {
    return undefined; // RE2 knows forms that browsers do not
  }
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
