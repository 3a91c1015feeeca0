import { expect, test } from "vitest";
import { readHistory, remember } from "./history";

function storage(first: string | null = null) {
  let kept = first;
  return {
    getItem: () => kept,
    setItem: (_: string, text: string) => {
      kept = text;
    },
  };
}

test("the newest statement is first, and each stands there once", () => {
  const kept = storage();
  remember("SELECT 1", kept);
  remember("SELECT 2", kept);
  remember(" SELECT 1\n", kept);
  expect(readHistory(kept)).toEqual(["SELECT 1", "SELECT 2"]);
});

test("fifty are kept", () => {
  const kept = storage();
  for (let index = 0; index < 60; index++) remember(`SELECT ${index}`, kept);
  expect(readHistory(kept)).toHaveLength(50);
});

test("what is no history is an empty one", () => {
  expect(readHistory(storage("{"))).toEqual([]);
  expect(readHistory(storage('{"a": 1}'))).toEqual([]);
});
