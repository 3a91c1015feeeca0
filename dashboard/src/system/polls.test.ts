import { expect, test } from "vitest";
import type { Poll } from "./polls";
import { Change } from "./polls";
import { parseMetrics } from "./prometheus";

function poll(atMs: number, text: string): Poll {
  const status = { version: "1", now: "", log: {}, stores: {}, dead_letters: 0, settings: {} };
  return { atMs, status, metrics: parseMetrics(text) };
}

test("a rate is the rise of a counter by the time between", () => {
  const change = new Change(poll(4_000, 'a_total{x="1"} 30'), poll(2_000, 'a_total{x="1"} 10'));
  expect(change.rate("a_total")).toBe(10);
});

test("nothing is known of the rate at the first poll, nor of a counter that is not there", () => {
  expect(new Change(poll(4_000, "a_total 30"), undefined).rate("a_total")).toBeUndefined();
  expect(new Change(poll(4_000, ""), poll(2_000, "")).rate("a_total")).toBeUndefined();
});

test("a counter that begins anew counts from nothing", () => {
  expect(new Change(poll(4_000, "a_total 6"), poll(2_000, "a_total 900")).rate("a_total")).toBe(3);
});

test("a counter whose first sample has come in between rose from nothing", () => {
  expect(new Change(poll(4_000, "a_total 6"), poll(2_000, "")).rate("a_total")).toBe(3);
});

test("a mean is that of what was seen in between", () => {
  const before = poll(2_000, "a_seconds_sum 10\na_seconds_count 100");
  const now = poll(4_000, "a_seconds_sum 11\na_seconds_count 104");
  expect(new Change(now, before).mean("a_seconds")).toBe(0.25);
  expect(new Change(now, now).mean("a_seconds")).toBeUndefined();
});
