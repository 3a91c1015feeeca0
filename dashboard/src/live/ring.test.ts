import { expect, test } from "vitest";
import { Ring } from "./ring";

test("the oldest items make room, and the numbers of the others stay", () => {
  const gone: number[] = [];
  const ring = new Ring<string>(3, 100, (_, number) => gone.push(number));
  for (const item of "abcde") ring.push(item, 1);
  expect([ring.first, ring.end, gone]).toEqual([2, 5, [0, 1]]);
  expect(ring.slice(0, 9)).toEqual(["c", "d", "e"]);
  expect([ring.get(1), ring.get(3), ring.get(5)]).toEqual([undefined, "d", undefined]);
});

test("large items push out more than one, and the newest stays however large", () => {
  const ring = new Ring<string>(10, 10);
  ring.push("a", 4);
  ring.push("b", 4);
  ring.push("c", 7);
  expect(ring.slice(0, 9)).toEqual(["c"]);
  ring.push("d", 50);
  expect(ring.slice(0, 9)).toEqual(["d"]);
  ring.push("e", 1);
  expect(ring.slice(0, 9)).toEqual(["e"]);
});

test("numbers go on after clearing", () => {
  const ring = new Ring<string>(3, 10);
  ring.push("a", 9);
  ring.clear();
  ring.push("b", 9);
  expect([ring.first, ring.end, ring.get(1)]).toEqual([1, 2, "b"]);
});
