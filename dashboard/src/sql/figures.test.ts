import { expect, test } from "vitest";
import { count, duration, size } from "./figures";

test("durations are told in the unit that people would take", () => {
  expect([0.0123, 0.9999, 12.34, 125].map(duration)).toEqual(["12 ms", "1.0 s", "12.3 s", "2 min 5 s"]);
});

test("sizes are told in powers of 1024", () => {
  expect([0, 1023, 1536, 5 * 2 ** 30, 300 * 2 ** 20].map(size)).toEqual([
    "0 B",
    "1023 B",
    "1.5 KiB",
    "5.0 GiB",
    "300 MiB",
  ]);
});

test("counts have their noun", () => {
  expect([count(1, "row", "rows"), count(10_000, "row", "rows")]).toEqual(["1 row", "10,000 rows"]);
});
