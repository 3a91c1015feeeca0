import { expect, test } from "vitest";
import { errorPlace, lineAndColumn } from "./place";

test("the server's column marks the word that begins there", () => {
  expect(errorPlace("SELECT *\nFORM logs", 15, "syntax error")).toEqual({ from: 14, to: 18 });
});

test("characters beyond the basic plane count once on the server and twice here", () => {
  const statement = "SELECT '😀é' FORM logs";
  const place = errorPlace(statement, 18, "syntax error");
  expect(statement.slice(place?.from, place?.to)).toBe("logs");
});

test("a column behind the end marks nothing beyond it", () => {
  expect(errorPlace("SELECT", 99, "syntax error")).toEqual({ from: 6, to: 6 });
});

test("a name in DuckDB's message is marked when it stands there once", () => {
  const message = 'Binder Error: Referenced column "foo" not found in FROM clause!';
  expect(errorPlace("SELECT foo FROM logs", null, message)).toEqual({ from: 7, to: 10 });
  expect(errorPlace("SELECT foo FROM logs ORDER BY foo", null, message)).toBeNull();
  expect(
    errorPlace("SELECT NoSuch(1)", null, "Catalog Error: Scalar Function with name nosuch does not exist!"),
  ).toEqual({ from: 7, to: 13 });
});

test("offsets are told as line and column", () => {
  expect(lineAndColumn("SELECT *\nFORM logs", 14)).toEqual({ line: 2, column: 6 });
});
