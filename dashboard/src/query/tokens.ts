/**
 * The words of a query in Lucene syntax, cut as the server cuts them, for highlighting, completion and edits. It never
 * refuses: what the server would not take is a token of kind `wrong`, and the server's own words say why.
 */

export type TokenKind =
  | "field"
  | "colon"
  | "operator"
  | "sign"
  | "comparison"
  | "open"
  | "close"
  | "word"
  | "wildcard"
  | "phrase"
  | "regex"
  | "range"
  | "wrong";

/** `from` and `to` are places in the text, half open. */
export interface Token {
  kind: TokenKind;
  from: number;
  to: number;
}

const SPACE = /\s+/y;
const PHRASE = /"(?:[^"\\]|\\.)*"?/sy;
const REGEX = /\/(?:[^/\\]|\\.)*\/?/sy;
const NAME_OR_TERM = /(?:[^\s:()[\]{}"~^\\]|\\.)+/suy;
const FIELD_VALUE = /(?:[^\s()[\]{}"~^\\]|\\.)+/suy;
const RANGE = /[[{](?:"(?:[^"\\]|\\.)*"?|\\.|[^\]}"\\])*[\]}]?/sy;
const WILD = /(?:^|[^\\])(?:\\\\)*[*?]/;
const OPERATORS = new Set(["AND", "OR", "NOT", "&&", "||"]);

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  // For each open parenthesis, whether what it holds is about a field, as in `level:(ERROR OR FATAL)`.
  const fieldKnown = [false];
  let at = 0;
  let skipped = matchAt(SPACE, text, at);
  while (at + skipped < text.length) {
    at += skipped;
    const before = tokens.at(-1)?.kind;
    const token = readToken(text, at, before, before === "colon" || fieldKnown.at(-1) === true);
    if (token.kind === "open") fieldKnown.push(before === "colon" || fieldKnown.at(-1) === true);
    if (token.kind === "close" && fieldKnown.length > 1) fieldKnown.pop();
    tokens.push(token);
    at = token.to;
    skipped = matchAt(SPACE, text, at);
  }
  return tokens;
}

function readToken(text: string, at: number, before: TokenKind | undefined, aboutField: boolean): Token {
  const character = text.charAt(at);
  const token = (kind: TokenKind, length: number): Token => ({
    kind,
    from: at,
    to: at + Math.max(length, 1),
  });
  if (character === '"') return token("phrase", matchAt(PHRASE, text, at));
  if (character === "(") return token("open", 1);
  if (character === ")") return token("close", 1);
  if ((character === "[" || character === "{") && aboutField) return token("range", matchAt(RANGE, text, at));
  if (character === "/") return token("regex", matchAt(REGEX, text, at));
  if (character === ":") return token(before === "field" ? "colon" : "wrong", 1);
  if (character === "<" || character === ">") {
    return token(aboutField ? "comparison" : "wrong", text.charAt(at + 1) === "=" ? 2 : 1);
  }
  if (character === "!" || ((character === "+" || character === "-") && before !== "colon")) {
    const isAlone = /^\s?$/.test(text.charAt(at + 1));
    if (before !== "comparison") return token(isAlone ? "wrong" : "sign", 1);
  }
  const isValue = before === "colon" || before === "comparison";
  const length = matchAt(isValue ? FIELD_VALUE : NAME_OR_TERM, text, at);
  const word = text.slice(at, at + length);
  if (length === 0) return token("wrong", 1);
  if (OPERATORS.has(word)) return token("operator", length);
  if (word.startsWith("&&") || word.startsWith("||")) return token("operator", 2);
  if (!isValue && text.charAt(at + length) === ":") return token("field", length);
  return token(WILD.test(word) ? "wildcard" : "word", length);
}

function matchAt(shape: RegExp, text: string, at: number): number {
  shape.lastIndex = at;
  return shape.exec(text)?.[0].length ?? 0;
}

/** The text of a name or a value without its quotes and backslashes. */
export function plainText(text: string): string {
  const inner = text.startsWith('"')
    ? text.slice(1, text.endsWith('"') && text.length > 1 ? -1 : undefined)
    : text;
  return inner.replace(/\\(.)/gs, "$1");
}
