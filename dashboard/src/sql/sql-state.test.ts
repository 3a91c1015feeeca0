import { expect, test } from "vitest";
import { readSqlState } from "./sql-state";

test("the address is read as far as it makes sense", () => {
  expect(
    readSqlState({ query: "SELECT 1", view: "chart", mark: "pie", x: "minute", y: ["n", 5], by: "", z: 1 }),
  ).toEqual({ query: "SELECT 1", view: "chart", x: "minute", y: ["n"], by: "" });
});

test("a statement that is a number stays text", () => {
  expect(readSqlState({ query: 42, view: "other" })).toEqual({ query: "42" });
});
