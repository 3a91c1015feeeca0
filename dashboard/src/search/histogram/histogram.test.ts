import { describe, expect, it } from "vitest";
import type { Schemas } from "../../api/client";
import { barAt, barText, spanOfBars, tickTexts } from "./bars";
import { drawnHistogram, stackedTops } from "./stack";

function answer(by: string | null, values: (string | null)[], buckets: number[][]): Schemas["Histogram"] {
  const start = Date.UTC(2025, 2, 28, 10);
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    interval_s: 60,
    by,
    count: buckets.flat().reduce((sum, each) => sum + each, 0),
    series: values.map((value, index) => ({
      kind: value === null ? "absent" : value === "*" ? "others" : "value",
      value: value === "*" ? null : value,
      count: buckets.reduce((sum, each) => sum + (each[index] ?? 0), 0),
    })),
    buckets: buckets.map((counts, index) => ({
      start: iso(start + index * 60_000),
      end: iso(start + index * 60_000 + 59_999),
      count: counts.reduce((sum, each) => sum + each, 0),
      counts,
    })),
  };
}

const LEVELS = answer(
  "level",
  ["INFO", "ERROR", null],
  [
    [1000, 1, 2],
    [0, 0, 0],
    [500, 0, 0],
  ],
);

describe("drawnHistogram", () => {
  it("puts the worst level at the base and what has none on top", () => {
    const drawn = drawnHistogram(LEVELS);
    expect(drawn.series.map((each) => each.label)).toEqual(["ERROR", "INFO", "no level"]);
    expect(drawn.series.map((each) => each.counts)).toEqual([
      [1, 0, 0],
      [1000, 0, 500],
      [2, 0, 0],
    ]);
    expect(drawn.series[0]?.color).toBe("var(--bar-error)");
  });

  it("makes one series of all values beyond the colours", () => {
    const values = [...Array.from({ length: 12 }, (_, index) => `v${index}`), "*", null];
    const drawn = drawnHistogram(answer("host", values, [values.map(() => 1)]));
    expect(drawn.series).toHaveLength(12);
    expect(drawn.series[10]).toMatchObject({ kind: "others", count: 3, counts: [3] });
    expect(drawn.series[11]).toMatchObject({ kind: "absent", label: "no host" });
  });

  it("has one series when nothing splits it", () => {
    expect(drawnHistogram(answer(null, [], [[], []])).series).toHaveLength(1);
  });
});

describe("stackedTops", () => {
  it("stacks, and shows one error among a thousand lines", () => {
    const { tops, max } = stackedTops(drawnHistogram(LEVELS).series, 0.02);
    expect(tops[0]?.[0]).toBeCloseTo(20.06);
    expect(tops[0]?.[2]).toBe(0);
    expect(tops[1]?.[1]).toBe(0);
    expect(tops[1]?.[2]).toBe(500);
    expect(max).toBeCloseTo(1040.12);
  });
});

describe("bars", () => {
  const drawn = drawnHistogram(LEVELS);
  const start = Date.UTC(2025, 2, 28, 10);

  it("are found by their place", () => {
    expect([-0.1, 0, 0.34, 0.99, 1.2].map((share) => barAt(share, 3))).toEqual([0, 0, 1, 2, 2]);
  });

  it("mean a span in either direction, not past what was searched", () => {
    expect(spanOfBars(drawn, 1, 0, {})).toEqual({ startMs: start, endMs: start + 120_000 });
    expect(spanOfBars(drawn, 0, 2, { startMs: start + 5, endMs: start + 150_000 })).toEqual({
      startMs: start + 5,
      endMs: start + 150_000,
    });
  });

  it("are told by their times", () => {
    expect(barText(drawn, 1, 1, "UTC")).toBe("2025-03-28 10:01 – 10:02");
  });
});

describe("tickTexts", () => {
  const at = (hour: number) => Date.UTC(2025, 2, 28, hour) / 1000;

  it("shows the day where one begins", () => {
    expect(tickTexts([at(18), at(24), at(30)], 6 * 3600, "UTC")).toEqual(["18:00", "03-29", "06:00"]);
  });

  it("is as fine as the steps", () => {
    expect(tickTexts([at(10)], 1, "UTC")).toEqual(["10:00:00"]);
    expect(tickTexts([at(10)], 0.001, "UTC")).toEqual(["10:00:00.000"]);
    expect(tickTexts([at(10)], 86_400, "UTC")).toEqual(["03-28"]);
    expect(tickTexts([at(10)], 30 * 86_400, "UTC")).toEqual(["2025-03"]);
  });
});
