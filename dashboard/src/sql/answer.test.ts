import { expect, test } from "vitest";
import { kindOf, readAnswer } from "./answer";

function rowsOf(rows: string) {
  return readAnswer(
    `{"columns":[{"name":"n","type":"int64"}],"rows":${rows},"count":1,"truncated":false,"elapsed_s":0.5,"bytes_read":null}`,
  ).rows;
}

test("Arrow's types become kinds", () => {
  expect(["int64", "uint8", "double", "decimal128(38, 0)"].map(kindOf)).toEqual(Array(4).fill("number"));
  expect(["timestamp[us, tz=UTC]", "date32[day]"].map(kindOf)).toEqual(["time", "time"]);
  expect(["list<l: string>", "map<string, string>", "struct<x: int32>"].map(kindOf)).toEqual(
    Array(3).fill("nested"),
  );
  expect(["string", "binary", "time64[us]", "month_day_nano_interval"].map(kindOf)).toEqual(
    Array(4).fill("text"),
  );
});

test("integers past 2^53 keep every digit", () => {
  expect(rowsOf("[[12345678901234567890,-9007199254740993,42]]")).toEqual([
    ["12345678901234567890", "-9007199254740993", 42],
  ]);
});

test("NaN and infinities, which JSON has not, are texts", () => {
  expect(rowsOf("[[NaN,Infinity,-Infinity,0.1234567890123456]]")).toEqual([
    ["NaN", "Infinity", "-Infinity", 0.1234567890123456],
  ]);
});

test("texts that look like numbers are left alone", () => {
  expect(rowsOf('[["a,12345678901234567890 \\" NaN",12345678901234567890]]')).toEqual([
    ['a,12345678901234567890 " NaN', "12345678901234567890"],
  ]);
});
