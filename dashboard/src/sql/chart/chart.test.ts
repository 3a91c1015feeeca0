import { expect, test } from "vitest";
import { type Answer, kindOf } from "../answer";
import { planned, proposed } from "./plan";
import { overCategories, overNumbers, SERIES_MAX, secondsOf, stacked } from "./series";

function answer(columns: Record<string, string>, rows: unknown[][]): Answer {
  return {
    columns: Object.entries(columns).map(([name, type]) => ({ name, type, kind: kindOf(type) })),
    rows,
    truncated: false,
    elapsedS: 0,
    bytesRead: null,
  };
}

const TIMES = { minute: "timestamp[us, tz=UTC]", level: "string", n: "int64" };
const byLevel = answer(TIMES, [
  ["2025-03-28T10:01:00.000000Z", "INFO", 5],
  ["2025-03-28T10:00:00.000000Z", "INFO", 3],
  ["2025-03-28T10:00:00.000000Z", "ERROR", 1],
]);

test("a time that repeats is drawn as lines, with the text column as series", () => {
  expect(proposed(byLevel)).toEqual({ mark: "line", x: "minute", y: ["n"], by: "level" });
});

test("several numbers at each time are a line each", () => {
  const wide = answer({ minute: "timestamp[us, tz=UTC]", errors: "int64", warnings: "int64" }, [
    ["2025-03-28T10:00:00.000000Z", 1, 2],
    ["2025-03-28T10:01:00.000000Z", 3, 4],
  ]);
  expect(proposed(wide)).toEqual({ mark: "line", x: "minute", y: ["errors", "warnings"], by: "" });
});

test("a category with numbers is drawn as bars of the first number", () => {
  const services = answer({ service: "string", n: "int64", share: "double" }, [
    ["auth", 5, 0.5],
    ["pay", 3, 0.3],
  ]);
  expect(proposed(services)).toEqual({ mark: "bar", x: "service", y: ["n"], by: "" });
});

test("a result without numbers has no chart", () => {
  expect(proposed(answer({ service: "string", host: "string" }, [["a", "b"]]))).toBeNull();
});

test("a choice is kept as far as the columns are there", () => {
  expect(planned(byLevel, { mark: "area", x: "gone", by: "" })).toEqual({
    mark: "area",
    x: "minute",
    y: ["n"],
    by: "",
  });
});

test("rows become series in the order of time, with gaps where a series has no row", () => {
  const drawn = overNumbers(byLevel, { mark: "line", x: "minute", y: ["n"], by: "level" });
  expect(drawn.xs).toEqual([1743156000, 1743156060]);
  expect(drawn.series).toEqual([
    { name: "INFO", values: [3, 5] },
    { name: "ERROR", values: [1, null] },
  ]);
  expect(drawn.added).toBe(false);
});

test("rows that fall on one place are added up, and that is told", () => {
  const drawn = overNumbers(byLevel, { mark: "line", x: "minute", y: ["n"], by: "" });
  expect(drawn.series).toEqual([{ name: "n", values: [4, 5] }]);
  expect(drawn.added).toBe(true);
});

test("the largest series are drawn, the largest first, and the others counted", () => {
  const many = answer(
    { service: "string", level: "string", n: "int64" },
    Array.from({ length: 20 }, (_, index) => ["auth", `level-${index}`, index]),
  );
  const drawn = overCategories(many, { mark: "bar", x: "service", y: ["n"], by: "level" });
  expect(drawn.series).toHaveLength(SERIES_MAX);
  expect(drawn.series[0]?.name).toBe("level-19");
  expect(drawn.seriesLeftOut).toBe(20 - SERIES_MAX);
});

test("NULL and empty categories have names", () => {
  const drawn = overCategories(
    answer({ service: "string", n: "int64" }, [
      [null, 1],
      ["", 2],
    ]),
    { mark: "bar", x: "service", y: ["n"], by: "" },
  );
  expect(drawn.xs).toEqual(["NULL", "(empty)"]);
});

test("times without a zone are UTC", () => {
  expect(secondsOf("2025-03-28T10:00:00.000000")).toBe(1743156000);
  expect(secondsOf("2025-03-28")).toBe(1743120000);
});

test("stacked series stand upon each other, gaps as nothing", () => {
  expect(
    stacked([
      { name: "a", values: [1, null] },
      { name: "b", values: [2, 3] },
    ]).map((each) => each.values),
  ).toEqual([
    [1, 0],
    [3, 3],
  ]);
});
