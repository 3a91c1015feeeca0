import { expect, test } from "vitest";
import type { Answer } from "../answer";
import { moved } from "./moving";
import { columnWidths } from "./widths";

const BOUNDS = { rows: 100, columns: 3, pageRows: 20 };
const PLAIN = { ctrlKey: false, metaKey: false };

test("arrows go one cell and stop at the edges", () => {
  expect(moved({ row: 0, column: 0 }, { key: "ArrowDown", ...PLAIN }, BOUNDS)).toEqual({ row: 1, column: 0 });
  expect(moved({ row: 0, column: 0 }, { key: "ArrowLeft", ...PLAIN }, BOUNDS)).toEqual({ row: 0, column: 0 });
  expect(moved({ row: 95, column: 1 }, { key: "PageDown", ...PLAIN }, BOUNDS)).toEqual({
    row: 99,
    column: 1,
  });
});

test("with Ctrl they go to the corners", () => {
  const end = { key: "End", ctrlKey: true, metaKey: false };
  expect(moved({ row: 0, column: 0 }, end, BOUNDS)).toEqual({ row: 99, column: 2 });
});

test("other keys do not move", () => {
  expect(moved({ row: 0, column: 0 }, { key: "x", ...PLAIN }, BOUNDS)).toBeNull();
});

test("columns are as wide as what they hold, and the last text takes the rest", () => {
  const answer: Answer = {
    columns: [
      { name: "n", type: "int64", kind: "number" },
      { name: "message", type: "string", kind: "text" },
    ],
    rows: [[1, "x".repeat(1000)]],
    truncated: false,
    elapsedS: 0,
    bytesRead: null,
  };
  expect(columnWidths(answer, 0)).toEqual([84, 460]);
  expect(columnWidths(answer, 1000)).toEqual([84, 916]);
});
