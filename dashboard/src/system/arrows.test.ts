import { expect, test } from "vitest";
import { durationOf, linesBetween } from "./arrows";

const BOX = { width: 100, height: 40 };

test("a line runs from the right side to the left side of the next box", () => {
  const rects = new Map([
    ["a", { x: 0, y: 0, ...BOX }],
    ["b", { x: 200, y: 100, ...BOX }],
  ]);
  const [line] = linesBetween([{ from: "a", to: "b", perSecond: 5 }], rects);
  expect(line?.path).toBe("M100,20 C150,20 150,120 200,120");
});

test("where boxes stand above each other it runs at their left", () => {
  const rects = new Map([
    ["a", { x: 30, y: 0, ...BOX }],
    ["b", { x: 30, y: 100, ...BOX }],
  ]);
  const [line] = linesBetween([{ from: "a", to: "b", perSecond: 5 }], rects);
  expect(line?.path.startsWith("M30,28 H26")).toBe(true);
  expect(line?.path.endsWith("H30")).toBe(true);
});

test("a box that is not drawn yet has no lines", () => {
  expect(linesBetween([{ from: "a", to: "b", perSecond: 5 }], new Map())).toEqual([]);
});

test("more flows faster, and nothing stands still", () => {
  expect([durationOf(undefined), durationOf(0)]).toEqual([null, null]);
  expect(durationOf(5_000)).toBeLessThan(durationOf(50) ?? 0);
  expect(durationOf(200)).toBe(durationOf(260));
});
