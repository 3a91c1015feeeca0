import { expect, test } from "vitest";
import type { Column } from "./answer";
import { spreadText } from "./cells";
import { delimited, delimitedRow } from "./delimited";

const COLUMNS: Column[] = [
  { name: "a,b", type: "string", kind: "text" },
  { name: "n", type: "int64", kind: "number" },
];

test("texts with the separator, quotes or line breaks are quoted", () => {
  const rows = [
    ['say "hi"', 1],
    ["two\nlines", 2],
    ["a\tb", 3],
  ];
  expect(delimited(COLUMNS, rows, ",")).toBe('"a,b",n\n"say ""hi""",1\n"two\nlines",2\na\tb,3\n');
  expect(delimited(COLUMNS, rows.slice(2), "\t")).toBe('a,b\tn\n"a\tb"\t3\n');
});

test("NULL and an empty text differ", () => {
  expect(delimitedRow([null, "", { x: 1 }], ",")).toBe(',"","{""x"":1}"');
});

test("nested values are JSON, over several lines for reading", () => {
  expect(spreadText({ a: [1] })).toBe('{\n  "a": [\n    1\n  ]\n}');
});
