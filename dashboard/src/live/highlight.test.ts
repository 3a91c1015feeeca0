// @vitest-environment happy-dom
import { beforeEach, expect, test } from "vitest";
import { compile, keepRules, markersOf, paint, type Rule, readRules } from "./highlight";

beforeEach(() => localStorage.clear());

const painted = (text: string, ...rules: Rule[]) =>
  paint(text, markersOf(rules)).map(({ text, colour }) => (colour ? `${colour}:${text}` : text));

test("words are found in any case, and their signs mean themselves", () => {
  expect(painted("Failed (again) failed", { text: "failed", colour: "red" })).toEqual([
    "red:Failed",
    " (again) ",
    "red:failed",
  ]);
  expect(painted("a.b axb", { text: "a.b", colour: "red" })).toEqual(["red:a.b", " axb"]);
});

test("what is between slashes is an expression, with c one that minds capitals", () => {
  expect(painted("code 500", { text: "/\\d+/", colour: "blue" })).toEqual(["code ", "blue:500"]);
  expect(painted("Abc abc", { text: "/abc/c", colour: "blue" })).toEqual(["Abc ", "blue:abc"]);
});

test("a wrong expression says why and marks nothing", () => {
  expect(typeof compile("/(/")).toBe("string");
  expect(typeof compile(" ")).toBe("string");
  expect(painted("(", { text: "/(/", colour: "red" })).toEqual(["("]);
});

test("where rules meet the earlier wins", () => {
  expect(
    painted("card declined", { text: "declined", colour: "red" }, { text: "card declined", colour: "blue" }),
  ).toEqual(["card ", "red:declined"]);
});

test("a pattern that fits everywhere, or nowhere at all, does no harm", () => {
  expect(painted("x".repeat(5_000), { text: "x", colour: "red" }).length).toBeLessThan(202);
  expect(painted("abc", { text: "/z*/", colour: "red" })).toEqual(["abc"]);
});

test("rules are kept in the browser, and what is not ours is left out", () => {
  keepRules([{ text: "a", colour: "red" }]);
  expect(readRules()).toEqual([{ text: "a", colour: "red" }]);
  localStorage.setItem("tailrace-highlights", '[{"text":1},null,{"text":"b","colour":"blue"}]');
  expect(readRules()).toEqual([{ text: "b", colour: "blue" }]);
  localStorage.setItem("tailrace-highlights", "{");
  expect(readRules()).toEqual([]);
});
