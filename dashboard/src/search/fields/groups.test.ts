import { expect, it } from "vitest";
import { grouped, percent, shortNumber } from "./groups";

const FIELDS = [
  { name: "timestamp", count: 90 },
  { name: "region", count: 80 },
  { name: "service", count: 90 },
  { name: "http.status", count: 10 },
  { name: "level", count: 90 },
];

it("puts the fields of every event first, in their usual order, and leaves out the time", () => {
  expect(
    grouped(FIELDS, "").map((group) => [group.name, ...group.fields.map((field) => field.name)]),
  ).toEqual([
    ["Standard", "level", "service"],
    ["Attributes", "region", "http.status"],
  ]);
});

it("finds fields by a part of their name, and has no empty group", () => {
  expect(grouped(FIELDS, " STAT")).toEqual([
    { name: "Attributes", fields: [{ name: "http.status", count: 10 }] },
  ]);
  expect(grouped(FIELDS, "nothing")).toEqual([]);
});

it("does not call a share nothing or everything when it is not", () => {
  expect(percent(1, 1_000_000)).toBe("<0.1%");
  expect(percent(999_999, 1_000_000)).toBe(">99.9%");
  expect(percent(5, 5)).toBe("100%");
  expect(percent(1, 3)).toBe("33%");
  expect(percent(1, 50)).toBe("2%");
  expect(percent(0, 0)).toBe("–");
});

it("shortens numbers", () => {
  expect(shortNumber(12_345)).toBe("12.3K");
});
