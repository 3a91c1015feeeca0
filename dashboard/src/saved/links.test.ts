import { expect, test } from "vitest";
import type { Saved } from "./api";
import { copyName, linkTo, matches, pageOf, summary } from "./links";

const search: Saved = {
  id: "a1",
  name: "Failed payments",
  kind: "search",
  state: { q: "level:ERROR service:pay*", start: "1h" },
  created: "2025-03-28T10:00:00.000000Z",
  updated: "2025-03-28T10:00:00.000000Z",
};
const sql: Saved = { ...search, name: "Counts", kind: "sql", state: { query: "SELECT 1\n  FROM logs" } };

test("the link names the saved thing and nothing else", () => {
  expect(linkTo("a/1", "http://logs.example")).toBe("http://logs.example/saved/a%2F1");
});

test("each kind opens on its page", () => {
  expect([pageOf(search), pageOf(sql)]).toEqual(["/", "/sql"]);
});

test("the summary is one line of the query and its time", () => {
  expect(summary(search)).toBe("level:ERROR service:pay* · 1h");
  expect(summary(sql)).toBe("SELECT 1 FROM logs");
  expect(summary({ kind: "search", state: {} })).toBe("every event");
  expect(summary({ kind: "search", state: { q: 5 } })).toBe("every event");
});

test("the filter wants every word, in the name or the query, in any case", () => {
  expect(matches(search, "PAY error")).toBe(true);
  expect(matches(search, "pay select")).toBe(false);
  expect(matches(sql, "")).toBe(true);
});

test("a copy gets a name that is free", () => {
  expect(copyName("Errors", ["Errors"])).toBe("Errors (2)");
  expect(copyName("Errors (2)", ["Errors", "Errors (2)"])).toBe("Errors (3)");
});
