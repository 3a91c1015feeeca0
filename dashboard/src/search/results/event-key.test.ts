import { expect, it } from "vitest";
import { justAfter, readKey } from "./event-key";

it("reads a key back into identity and time", () => {
  expect(readKey("0-42-7@2025-03-28T10:00:00.000000Z")).toEqual({
    id: "0-42-7",
    at: "2025-03-28T10:00:00.000000Z",
  });
});

it("takes nothing else for a key", () => {
  expect(readKey("")).toBeUndefined();
  expect(readKey("0-42-7")).toBeUndefined();
  expect(readKey("@x")).toBeUndefined();
  expect(readKey("x@")).toBeUndefined();
});

it("goes one microsecond on, over the end of a second too", () => {
  expect(justAfter("2025-03-28T10:00:00.000009Z")).toBe("2025-03-28T10:00:00.000010Z");
  expect(justAfter("2025-12-31T23:59:59.999999Z")).toBe("2026-01-01T00:00:00.000000Z");
});
