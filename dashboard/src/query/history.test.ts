// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from "vitest";
import { placeOfColumn } from "./column";
import { HISTORY_MAX, readHistory, recall, remember } from "./history";

beforeEach(() => localStorage.clear());

describe("history", () => {
  it("keeps each query once, the newest first", () => {
    for (const query of ["a", "b", "a", ""]) remember(query);
    expect(readHistory()).toEqual(["a", "b"]);
  });

  it("is bounded", () => {
    for (let count = 0; count < HISTORY_MAX + 5; count++) remember(`q${count}`);
    expect(readHistory()).toHaveLength(HISTORY_MAX);
    expect(readHistory()[0]).toBe(`q${HISTORY_MAX + 4}`);
  });

  it("is empty when what was kept is damaged", () => {
    localStorage.setItem("tailrace-queries", "{");
    expect(readHistory()).toEqual([]);
  });
});

describe("recall", () => {
  const history = ["new", "old"];

  it("goes back from an empty line and forth to it", () => {
    expect(recall(history, "", "older")).toBe("new");
    expect(recall(history, "new", "older")).toBe("old");
    expect(recall(history, "old", "older")).toBeNull();
    expect(recall(history, "old", "newer")).toBe("new");
    expect(recall(history, "new", "newer")).toBe("");
  });

  it("leaves a person's own text alone", () => {
    expect(recall(history, "mine", "older")).toBeNull();
    expect(recall(history, "", "newer")).toBeNull();
  });
});

it("a column of the server, in characters, is a place in UTF-16", () => {
  expect(placeOfColumn("a b", 3)).toBe(2);
  expect(placeOfColumn("😀 b", 3)).toBe(3);
  expect(placeOfColumn("a", null)).toBeNull();
});
