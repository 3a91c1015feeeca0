import { describe, expect, it } from "vitest";
import { lengthText, parseRange, resolveWords, wordsOfSpan } from "./parse";

/** Friday. */
const NOW = Date.UTC(2025, 2, 28, 12, 30);
const BERLIN = "Europe/Berlin"; // an hour ahead of UTC on that day

function range(text: string, zone = "UTC"): string | null {
  const parsed = parseRange(text, NOW, zone);
  if (!parsed) return null;
  const { startMs, endMs } = parsed.span;
  const iso = (ms: number | undefined) => (ms === undefined ? "…" : new Date(ms).toISOString().slice(0, 16));
  return `${iso(startMs)} ${iso(endMs)}`;
}

function words(text: string, zone = "UTC"): string | null {
  const parsed = parseRange(text, NOW, zone);
  return parsed && `${parsed.words.start} | ${parsed.words.end}`;
}

describe("a length", () => {
  it.each([
    "last 15m",
    "15m",
    "15 min",
    "past 15 minutes",
    "15m ago",
    "-15m",
    "now-15m",
    "now - 15m",
    "LAST 15M",
  ])("%s counts back from now", (text) => expect(range(text)).toBe("2025-03-28T12:15 2025-03-28T12:30"));

  it.each([
    ["last hour", "2025-03-28T11:30 2025-03-28T12:30"],
    ["last 7 days", "2025-03-21T12:30 2025-03-28T12:30"],
    ["2w", "2025-03-14T12:30 2025-03-28T12:30"],
    ["1.5h", "2025-03-28T11:00 2025-03-28T12:30"],
    ["2h to 1h", "2025-03-28T10:30 2025-03-28T11:30"],
    ["2 hours ago to now", "2025-03-28T10:30 2025-03-28T12:30"],
  ])("%s", (text, expected) => expect(range(text)).toBe(expected));

  it("stays in words, so that a saved search moves along", () => {
    expect(words("last 15 minutes")).toBe("15m | ");
    expect(words("last hour")).toBe("1h | ");
    expect(words("last 7 days")).toBe("7d | ");
  });
});

describe("a day", () => {
  it.each([
    ["yesterday", "2025-03-27T00:00 2025-03-28T00:00"],
    ["2025-03-20", "2025-03-20T00:00 2025-03-21T00:00"],
    ["2025-02", "2025-02-01T00:00 2025-03-01T00:00"],
    ["2024", "2024-01-01T00:00 2025-01-01T00:00"],
    ["monday", "2025-03-24T00:00 2025-03-25T00:00"],
    ["friday", "2025-03-21T00:00 2025-03-22T00:00"],
    ["2025-03-20 to 2025-03-22", "2025-03-20T00:00 2025-03-23T00:00"],
    ["yesterday to today", "2025-03-27T00:00 2025-03-29T00:00"],
  ])("%s is all of it", (text, expected) => expect(range(text)).toBe(expected));

  it("that is not over ends now", () => {
    expect(range("today")).toBe("2025-03-28T00:00 2025-03-28T12:30");
    expect(range("2025-03")).toBe("2025-03-01T00:00 2025-03-28T12:30");
  });

  it("is that of the zone", () => {
    expect(range("yesterday", BERLIN)).toBe("2025-03-26T23:00 2025-03-27T23:00");
    expect(range("2025-03-20", BERLIN)).toBe("2025-03-19T23:00 2025-03-20T23:00");
  });

  it("has 23 hours when clocks go forward and 25 when they go back", () => {
    expect(range("2025-03-30", BERLIN)?.slice(0, 16)).toBe("2025-03-29T23:00");
    expect(resolveWords({ start: "2025-03-30", end: "2025-03-30" }, NOW, BERLIN)).toEqual({
      startMs: Date.UTC(2025, 2, 29, 23),
      endMs: Date.UTC(2025, 2, 30, 22),
    });
    expect(resolveWords({ start: "2025-10-26", end: "2025-10-26" }, NOW, BERLIN)).toEqual({
      startMs: Date.UTC(2025, 9, 25, 22),
      endMs: Date.UTC(2025, 9, 26, 23),
    });
  });
});

describe("a clock time", () => {
  it.each([
    ["yesterday 14:00", "2025-03-27T14:00 2025-03-28T12:30"],
    ["yesterday at 2pm", "2025-03-27T14:00 2025-03-28T12:30"],
    ["10:00", "2025-03-28T10:00 2025-03-28T12:30"],
    ["14:00", "2025-03-27T14:00 2025-03-28T12:30"],
    ["since monday", "2025-03-24T00:00 2025-03-28T12:30"],
    ["since 2025-03-20 10:15", "2025-03-20T10:15 2025-03-28T12:30"],
    ["1743156000", "2025-03-28T10:00 2025-03-28T12:30"],
    ["1743156000000", "2025-03-28T10:00 2025-03-28T12:30"],
    ["1743156000000000000", "2025-03-28T10:00 2025-03-28T12:30"],
    ["2025-03-28T10:00:00+02:00", "2025-03-28T08:00 2025-03-28T12:30"],
  ])("%s is from then until now", (text, expected) => expect(range(text)).toBe(expected));

  it.each([
    ["yesterday 14:00 to 15:30", "2025-03-27T14:00 2025-03-27T15:30"],
    ["yesterday 14:00 - 15:30", "2025-03-27T14:00 2025-03-27T15:30"],
    ["2025-03-28 10:00 – 11:00", "2025-03-28T10:00 2025-03-28T11:00"],
    ["2025-03-28 10:00–11:00", "2025-03-28T10:00 2025-03-28T11:00"],
    ["2025-03-28T10:00..2025-03-28T11:00", "2025-03-28T10:00 2025-03-28T11:00"],
    ["from 2025-03-27 10:00 to 2025-03-28 11:00", "2025-03-27T10:00 2025-03-28T11:00"],
    ["between 9:00 and 10:00", "2025-03-28T09:00 2025-03-28T10:00"],
    ["yesterday 23:00 to 01:00", "2025-03-27T23:00 2025-03-28T01:00"],
    ["yesterday 14:00 to now", "2025-03-27T14:00 2025-03-28T12:30"],
  ])("%s ends where it says", (text, expected) => expect(range(text)).toBe(expected));

  it("keeps words that count from now and fixes the others in UTC", () => {
    expect(words("Yesterday 14:00 to 15:30", BERLIN)).toBe("yesterday 14:00 | yesterday 15:30");
    expect(words("2025-03-20 10:00 to 11:00", BERLIN)).toBe("2025-03-20T09:00:00Z | 2025-03-20T10:00:00Z");
  });
});

describe("all time", () => {
  it.each(["all time", "all", "", "everything"])("%j has no bounds", (text) => {
    expect(range(text)).toBe("… …");
    expect(words(text)).toBe(" | ");
  });

  it("has an end alone when that is what was said", () => {
    expect(range("until 2025-03-20")).toBe("… 2025-03-20T00:00");
    expect(range("before 10:00")).toBe("… 2025-03-28T10:00");
  });
});

describe("what is no range of time", () => {
  it.each([
    "soon",
    "2025-13-01",
    "2025-02-30",
    "25:00",
    "10:70",
    "15 parsecs",
    "10:00 to soon",
    "last",
    "9",
    "13pm",
  ])("%s is refused", (text) => expect(range(text)).toBeNull());

  it("is one that ends before it begins", () => {
    expect(range("2025-03-22 to 2025-03-20")).toBeNull();
    expect(resolveWords({ start: "now", end: "1h" }, NOW, "UTC")).toBeNull();
  });
});

describe("the address", () => {
  it("gives back the span that was put in", () => {
    const span = { startMs: NOW - 1234, endMs: NOW };
    expect(resolveWords(wordsOfSpan(span), NOW + 99_999, BERLIN)).toEqual(span);
  });

  it("names lengths shortly", () => {
    expect([900_000, 90_000, 7 * 86_400_000, 14 * 86_400_000, 1500].map(lengthText)).toEqual([
      "15m",
      "90s",
      "7d",
      "2w",
      "1500ms",
    ]);
  });
});
