import { describe, expect, it } from "vitest";
import { lengthName, rangeLabel, shortLength, spanLabel } from "./label";
import { parseRange } from "./parse";
import { shifted, widened } from "./shift";

const NOW = Date.UTC(2025, 2, 28, 12, 30);

describe("rangeLabel", () => {
  it.each([
    ["15m", "Last 15 minutes"],
    ["1h", "Last hour"],
    ["24h", "Last 24 hours"],
    ["7d", "Last 7 days"],
    ["today", "Today"],
    ["yesterday", "Yesterday"],
    ["since monday", "Since monday"],
    ["all time", "All time"],
    ["yesterday 14:00", "Since yesterday 14:00"],
    ["yesterday 14:00 to 15:30", "Yesterday 14:00 – 15:30"],
    ["2025-03-20", "2025-03-20"],
    ["2025-02", "2025-02-01 – 2025-02-28"],
    ["2025-03-20 10:00 to 11:30", "2025-03-20 10:00 – 11:30"],
    ["2025-03-20 10:00 to 2025-03-21 11:30:15", "2025-03-20 10:00 – 2025-03-21 11:30:15"],
    ["until 2025-03-20 10:00", "Until 2025-03-20 10:00"],
  ])("%s is shown as %s", (typed, shown) => {
    const parsed = parseRange(typed, NOW, "UTC");
    expect(parsed && rangeLabel(parsed.words, parsed.span, "UTC")).toBe(shown);
  });

  it("shows a fixed range in the reader's zone", () => {
    expect(spanLabel(Date.UTC(2025, 2, 20, 9), Date.UTC(2025, 2, 20, 10), "Europe/Berlin")).toBe(
      "2025-03-20 10:00 – 11:00",
    );
  });
});

describe("lengths", () => {
  it("are named in the largest unit that fits", () => {
    expect([1000, 90_000, 3_600_000, 86_400_000, 1500].map(lengthName)).toEqual([
      "second",
      "90 seconds",
      "hour",
      "24 hours",
      "1500 milliseconds",
    ]);
  });

  it("are short where there is little room", () => {
    expect([250, 15_000, 300_000, 5_400_000, 86_400_000].map(shortLength)).toEqual([
      "250 ms",
      "15 s",
      "5 min",
      "1.5 h",
      "1 d",
    ]);
  });
});

describe("moving", () => {
  const span = { startMs: NOW - 3_600_000, endMs: NOW };

  it("goes to the span just before and just after", () => {
    expect(shifted(span, -1)).toEqual({ start: "2025-03-28T10:30:00Z", end: "2025-03-28T11:30:00Z" });
    expect(shifted(span, 1)).toEqual({ start: "2025-03-28T12:30:00Z", end: "2025-03-28T13:30:00Z" });
  });

  it("doubles the span without going past now", () => {
    expect(widened(span, NOW)).toEqual({ start: "2025-03-28T10:30:00Z", end: "2025-03-28T12:30:00Z" });
    expect(widened(span, NOW + 3_600_000)).toEqual({
      start: "2025-03-28T11:00:00Z",
      end: "2025-03-28T13:00:00Z",
    });
  });

  it("has nowhere to go without bounds", () => {
    expect(shifted({ endMs: NOW }, 1)).toBeNull();
    expect(widened({}, NOW)).toBeNull();
  });
});
