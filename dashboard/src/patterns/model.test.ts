import { expect, test } from "vitest";
import { orderedPatterns, type Pattern, sparklinePoints, templateParts, trend } from "./model";

function pattern(part: Partial<Pattern>): Pattern {
  return {
    id: "a",
    template: "a <*>",
    count: 1,
    sparkline: [],
    before_count: 1,
    first_seen: "2025-03-28T10:00:00.000000Z",
    example: "a b",
    q: "a",
    ...part,
  };
}

test("the trend is told as new, times, percent or same", () => {
  const told = [
    [5, 0],
    [30, 10],
    [25, 10],
    [1400, 10],
    [14, 10],
    [6, 10],
    [102, 100],
    [5, null],
  ] as const;
  expect(told.map(([count, before_count]) => trend({ count, before_count }).text)).toEqual([
    "▲ new",
    "×3",
    "×2.5",
    "×140",
    "+40 %",
    "−40 %",
    "same",
    "–",
  ]);
});

test("wildcards are parts of their own", () => {
  expect(templateParts("<*> refused after <*><*> ms").map((part) => [part.text, part.isWildcard])).toEqual([
    ["<*>", true],
    [" refused after ", false],
    ["<*>", true],
    ["<*>", true],
    [" ms", false],
  ]);
});

test("patterns are ordered by events, by growth with new ones first, or by newness", () => {
  const patterns = [
    pattern({ id: "many", count: 100, before_count: 100 }),
    pattern({ id: "new", count: 2, before_count: 0, first_seen: "2025-03-28T09:00:00.000000Z" }),
    pattern({ id: "grown", count: 30, before_count: 10, first_seen: "2025-03-28T11:00:00.000000Z" }),
  ];
  const ids = (ordering: "count" | "trend" | "first_seen") =>
    orderedPatterns(patterns, ordering).map((each) => each.id);
  expect(ids("count")).toEqual(["many", "grown", "new"]);
  expect(ids("trend")).toEqual(["new", "grown", "many"]);
  expect(ids("first_seen")).toEqual(["grown", "many", "new"]);
});

test("a sparkline reaches from the bottom to the top of its box", () => {
  expect(sparklinePoints([0, 5, 10], 100, 20)).toBe("0,20 50,10 100,0");
  expect(sparklinePoints([], 100, 20)).toBe("");
  expect(sparklinePoints([0, 0], 100, 20)).toBe("0,20 100,20");
});
