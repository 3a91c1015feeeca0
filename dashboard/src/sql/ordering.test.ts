import { expect, test } from "vitest";
import type { Kind } from "./answer";
import { nextOrdering, ordered } from "./ordering";

function sorted(values: unknown[], kind: Kind, direction: "asc" | "desc" = "asc") {
  return ordered(
    values.map((each) => [each]),
    kind,
    { column: 0, direction },
  ).map((row) => row[0]);
}

test("numbers are ordered as numbers, texts by their numbers too", () => {
  expect(sorted([10, 9, 1.5], "number")).toEqual([1.5, 9, 10]);
  expect(sorted(["web-10", "web-9", "api"], "text")).toEqual(["api", "web-9", "web-10"]);
});

test("NULL is last in both directions", () => {
  expect(sorted([null, 2, 1], "number")).toEqual([1, 2, null]);
  expect(sorted([null, 2, 1], "number", "desc")).toEqual([2, 1, null]);
});

test("integers past 2^53 that differ in the last digit are told apart", () => {
  expect(sorted(["9007199254740993", "9007199254740992", 5], "number")).toEqual([
    5,
    "9007199254740992",
    "9007199254740993",
  ]);
});

test("NaN comes behind all other numbers", () => {
  expect(sorted(["NaN", 2, "-Infinity", "Infinity"], "number")).toEqual(["-Infinity", 2, "Infinity", "NaN"]);
});

test("the input is not changed", () => {
  const rows = [[2], [1]];
  ordered(rows, "number", { column: 0, direction: "asc" });
  expect(rows).toEqual([[2], [1]]);
});

test("a column's head goes through ascending, descending and the server's order", () => {
  const first = nextOrdering(null, 2);
  const second = nextOrdering(first, 2);
  expect([first, second, nextOrdering(second, 2)]).toEqual([
    { column: 2, direction: "asc" },
    { column: 2, direction: "desc" },
    null,
  ]);
  expect(nextOrdering(second, 0)).toEqual({ column: 0, direction: "asc" });
});
