import { expect, test } from "vitest";
import { EventStream } from "./event-stream";

function read(...pieces: string[]): [string, string][] {
  const found: [string, string][] = [];
  const stream = new EventStream();
  for (const piece of pieces) stream.push(piece, (event, data) => found.push([event, data]));
  return found;
}

const TEXT = ': tail\n\nevent: log\ndata: {"a":1}\n\nevent: missed\ndata: {"count": 5}\n\n: heartbeat\n\n';

test("events come out with their kind and data, and comments do not", () => {
  expect(read(TEXT)).toEqual([
    ["log", '{"a":1}'],
    ["missed", '{"count": 5}'],
  ]);
});

test("where the text is cut into pieces makes no difference", () => {
  const whole = read(TEXT);
  for (let at = 1; at < TEXT.length; at++) expect(read(TEXT.slice(0, at), TEXT.slice(at))).toEqual(whole);
  expect(read(...TEXT)).toEqual(whole);
});

test("an event that is not finished is not told", () => {
  expect(read("event: log\ndata: {}\n")).toEqual([]);
});
