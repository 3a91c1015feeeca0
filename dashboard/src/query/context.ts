/** What a person is about to write at a place in a query, so that the right things are offered. */
import { plainText, tokenize } from "./tokens";

/** `from` and `to`: what an offer replaces. `prefix`: what is typed of it, without quotes and backslashes. */
export type Context =
  | {
      kind: "term";
      from: number;
      to: number;
      prefix: string;
      /** Whether a term stands before, so that an operator may follow. */
      followsTerm: boolean;
      /** Whether the colon is there already. */
      hasColon: boolean;
    }
  | { kind: "value"; field: string; from: number; to: number; prefix: string };

export function contextAt(text: string, position: number): Context | null {
  const tokens = tokenize(text);
  // The field of each open parenthesis, as in `level:(ERROR OR `; empty: none.
  const groups: string[] = [];
  let last = -1; // the last token that ends before the place
  let touching = -1;
  for (const [index, token] of tokens.entries()) {
    if (token.from >= position) break;
    if (token.kind === "open") {
      const opener = tokens[index - 1];
      const name = tokens[index - 2];
      groups.push(
        opener?.kind === "colon" && name ? plainText(text.slice(name.from, name.to)) : (groups.at(-1) ?? ""),
      );
    }
    if (token.kind === "close" && token.to <= position) groups.pop();
    const isOpenEnded = ["word", "wildcard", "field", "operator", "phrase"].includes(token.kind);
    if (isOpenEnded && position <= token.to) touching = index;
    else if (token.to <= position) last = index;
    else return null; // within a regular expression or a range
  }
  const token = tokens[touching];
  if (token?.kind === "phrase" && position === token.to && /[^\\]"$/.test(text.slice(token.from, token.to))) {
    return null; // behind a closed quote
  }
  const from = token?.from ?? position;
  const to = token?.to ?? position;
  const prefix = plainText(text.slice(from, position));
  const before = tokens[last];
  if (before?.kind === "comparison") return null;
  if (before?.kind === "colon") {
    const name = tokens[last - 1];
    return name
      ? { kind: "value", field: plainText(text.slice(name.from, name.to)), from, to, prefix }
      : null;
  }
  const group = groups.at(-1) ?? "";
  if (group !== "") return { kind: "value", field: group, from, to, prefix };
  if (token?.kind === "phrase") return null;
  const followsTerm =
    before !== undefined && ["word", "wildcard", "phrase", "regex", "range", "close"].includes(before.kind);
  return { kind: "term", from, to, prefix, followsTerm, hasColon: token?.kind === "field" };
}
