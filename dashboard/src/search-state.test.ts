import { expect, it } from "vitest";
import { DEFAULTS, differences, readState } from "./search-state";

it("the address holds only what differs from the defaults", () => {
  expect(differences(DEFAULTS)).toEqual({});
  expect(differences({ ...DEFAULTS, q: "x", columns: ["message"] })).toEqual({
    q: "x",
    columns: ["message"],
  });
});

it("all time and an unsplit histogram stand in the address, though they are empty", () => {
  expect(differences({ ...DEFAULTS, start: "", by: "" })).toEqual({ start: "", by: "" });
});

it("what the router reads as a number or a boolean is the text that was typed", () => {
  expect(readState({ q: 500 })).toEqual({ q: "500" });
  expect(readState({ q: true })).toEqual({ q: "true" });
});

it("what makes no sense in an address is passed over", () => {
  expect(readState({ q: ["a"], order: "up", columns: "x", wrap: "yes", more: 1 })).toEqual({});
});
