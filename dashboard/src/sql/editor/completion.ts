import {
  type Completion,
  type CompletionContext,
  type CompletionResult,
  type CompletionSource,
  completeFromList,
  ifNotIn,
} from "@codemirror/autocomplete";
import { type SQLDialect, schemaCompletionSource } from "@codemirror/lang-sql";
import { attributeSql, COLUMNS, FUNCTIONS, KEYWORDS, TABLE, TYPES } from "./words";

/** Sources of completions, the most fitting first. `attributes` is asked each time, as the names come later. */
export function completions(dialect: SQLDialect, attributes: () => readonly string[]): CompletionSource[] {
  const columns: Completion[] = COLUMNS.map((each) => ({
    label: each.name,
    type: "property",
    detail: each.type,
    ...(each.about ? { info: each.about } : {}),
    boost: 3,
  }));
  const sources: CompletionSource[] = [
    (context) => attributeKeys(context, attributes()),
    ifNotIn(NOT_CODE, (context) => attributeNames(context, attributes())),
    schemaCompletionSource({
      dialect,
      schema: { [TABLE]: { self: { label: TABLE, type: "type", detail: "table" }, children: columns } },
      defaultTable: TABLE,
    }),
    ifNotIn([...NOT_CODE, "."], completeFromList(WORDS)),
  ];
  return sources.map(unlessNaming);
}

/** Behind AS stands a new name: an offer would take the Enter that ends the line, so it comes when asked for only. */
function unlessNaming(source: CompletionSource): CompletionSource {
  return (context) =>
    !context.explicit && context.matchBefore(/\bas\s+\w*/i) !== null ? null : source(context);
}

const NOT_CODE = ["QuotedIdentifier", "String", "LineComment", "BlockComment"];

const WORDS: Completion[] = [
  ...Object.entries(FUNCTIONS).map(
    ([name, takes]): Completion => ({
      label: name,
      type: "function",
      detail: `(${takes})`,
      apply: takes === "" ? `${name}()` : `${name}(`,
      boost: 1,
    }),
  ),
  ...KEYWORDS.split(" ").map((each): Completion => ({ label: each.toUpperCase(), type: "keyword" })),
  ...TYPES.split(" ").map((each): Completion => ({ label: each.toUpperCase(), type: "type", boost: -1 })),
];

/** Behind `attributes[`: the names, each with what closes it. */
function attributeKeys(context: CompletionContext, names: readonly string[]): CompletionResult | null {
  const begun = context.matchBefore(/attributes\[\s*'?[^'\]\n]*/i);
  if (!begun) return null;
  const open = begun.text.indexOf("[");
  const closing = /^'?\]?/.exec(context.state.sliceDoc(context.pos, context.pos + 2))?.[0] ?? "";
  return {
    from: begun.from + open + 1,
    to: context.pos + closing.length,
    options: names.map((name) => ({
      label: attributeSql(name).slice("attributes[".length),
      displayLabel: name,
      type: "property",
    })),
    validFor: /^\s*'?[^'\]\n]*$/,
  };
}

/** Anywhere else: `lat` becomes `attributes['latency_ms']`. */
function attributeNames(context: CompletionContext, names: readonly string[]): CompletionResult | null {
  const word = context.matchBefore(/[\p{L}_][\p{L}\p{N}_]*/u);
  if (!word || context.state.sliceDoc(word.from - 1, word.from) === ".") return null;
  return {
    from: word.from,
    options: names.map((name) => ({
      label: name,
      type: "property",
      detail: "attribute",
      apply: attributeSql(name),
      boost: 2,
    })),
    validFor: /^[\p{L}\p{N}_]*$/u,
  };
}
