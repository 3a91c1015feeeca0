import { expect, it } from "vitest";
import { fieldValue, moved, template, toggled, widthOf } from "./columns";

it("gives the message the room that is left", () => {
  expect(template(["level", "message"], {})).toBe("204px 66px minmax(320px, 1fr)");
});

it("gives the last column the room where there is no message", () => {
  expect(template(["level", "region"], { region: 90 })).toBe("204px 66px minmax(90px, 1fr)");
});

it("bounds a width", () => {
  expect(widthOf("level", { level: 3 })).toBe(56);
  expect(widthOf("level", { level: 1e9 })).toBe(2000);
});

it("moves a column to a place among the others", () => {
  expect(moved(["a", "b", "c"], "c", 0)).toEqual(["c", "a", "b"]);
  expect(moved(["a", "b", "c"], "a", 1)).toEqual(["b", "a", "c"]);
  expect(moved(["a", "b", "c"], "a", -1)).toEqual(["a", "b", "c"]);
});

it("puts a new column before a message that ends the row", () => {
  expect(toggled(["level", "message"], "host")).toEqual(["level", "host", "message"]);
  expect(toggled(["message", "level"], "host")).toEqual(["message", "level", "host"]);
  expect(toggled(["level", "message"], "level")).toEqual(["message"]);
});

it("finds attributes by their name, with or without the prefix that tells them from fields", () => {
  const event = {
    timestamp: "t",
    observed_timestamp: "o",
    level: null,
    message: "m",
    service: "pay",
    host: null,
    trace_id: null,
    span_id: null,
    id: "0-0-0",
    attributes: { region: "eu", ts: "7" },
  };
  expect(fieldValue(event, "service")).toBe("pay");
  expect(fieldValue(event, "host")).toBeNull();
  expect(fieldValue(event, "region")).toBe("eu");
  expect(fieldValue(event, "attributes.ts")).toBe("7");
  expect(fieldValue(event, "constructor")).toBeNull();
});
