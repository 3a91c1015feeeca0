import { expect, test } from "vitest";
import { ageText, bytesText, countText, rateText, secondsText } from "./numbers";

test("figures are short, have their unit, and a dash where nothing is known", () => {
  expect([bytesText(999), bytesText(1536), bytesText(4294967296), bytesText(undefined)]).toEqual([
    "999 B",
    "1.5 KiB",
    "4 GiB",
    "–",
  ]);
  expect([countText(1234567), countText(undefined)]).toEqual(["1,234,567", "–"]);
  expect([rateText(0), rateText(2.34), rateText(12345.6)]).toEqual(["0/s", "2.3/s", "12,346/s"]);
  expect([secondsText(0.0004), secondsText(0.25), secondsText(3.21)]).toEqual(["0.4 ms", "250 ms", "3.2 s"]);
});

test("an age has its two largest units", () => {
  expect([0, 59, 60, 3_725, 273_600, 2_592_000].map(ageText)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "1 h 2 min",
    "3 d 4 h",
    "30 d",
  ]);
});
