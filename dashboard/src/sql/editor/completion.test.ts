import { CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { SQLDialect } from "@codemirror/lang-sql";
import { EditorState } from "@codemirror/state";
import { expect, test } from "vitest";
import { completions } from "./completion";
import { FUNCTIONS, KEYWORDS } from "./words";

const DIALECT = SQLDialect.define({ keywords: KEYWORDS, builtin: Object.keys(FUNCTIONS).join(" ") });

/** What is offered where `|` stands, as it would be written. */
async function offered(marked: string, explicit = false): Promise<string[]> {
  const at = marked.indexOf("|");
  const state = EditorState.create({ doc: marked.replace("|", ""), extensions: [DIALECT.extension] });
  const found: string[] = [];
  for (const source of completions(DIALECT, () => ["latency_ms", "user's"])) {
    const result = (await source(new CompletionContext(state, at, explicit))) as CompletionResult | null;
    for (const each of result?.options ?? []) {
      found.push(typeof each.apply === "string" ? each.apply : each.label);
    }
  }
  return found;
}

test("columns, functions, keywords and attributes are offered where code stands", async () => {
  const words = await offered("SELECT l| FROM logs");
  expect(words).toEqual(expect.arrayContaining(["level", "lower(", "LIMIT", "attributes['latency_ms']"]));
});

test("behind `attributes[` the names are offered, quoted as SQL wants them", async () => {
  expect(await offered("SELECT attributes['la| FROM logs")).toEqual(["'latency_ms']", "'user''s']"]);
});

test("nothing is offered in a text", async () => {
  expect(await offered("SELECT 'se|' FROM logs")).toEqual([]);
});

test("behind AS, where a new name stands, nothing is offered unasked", async () => {
  expect(await offered("SELECT count(*) AS n|")).toEqual([]);
  expect(await offered("SELECT CAST(level AS v|", true)).toContain("VARCHAR");
});
