import { expect, test } from "vitest";
import { Keeper } from "./keeper";
import { MESSAGE_CHARS_MAX, ROWS_MAX, type Row } from "./protocol";

function line(message: string): string {
  return JSON.stringify({ timestamp: "2025-03-28T10:00:00.000000Z", level: null, service: null, message });
}

function fed(lines: number): Keeper {
  const keeper = new Keeper();
  for (let each = 0; each < lines; each++) keeper.line(line(String(each)));
  return keeper;
}

const texts = (rows: readonly Row[]) => rows.map((row) => (row.kind === "line" ? row.message : row.kind));

test("who follows gets the newest rows and hears how many there are", () => {
  const { first, end, rows } = fed(10).tail(3);
  expect([first, end, texts(rows)]).toEqual([0, 10, ["7", "8", "9"]]);
});

test("no more rows are kept than can be scrolled over", () => {
  const { first, end } = fed(ROWS_MAX + 7).tail(1);
  expect([first, end]).toEqual([7, ROWS_MAX + 7]);
});

test("standing still gives what was on the screen, however much came since", () => {
  const keeper = fed(ROWS_MAX);
  const { end } = keeper.tail(1);
  for (let each = 0; each < 500; each++) keeper.line(line("later"));
  const held = keeper.hold(end);
  expect([held.first, held.end, held.rows.length]).toEqual([0, ROWS_MAX, ROWS_MAX]);
  keeper.line(line("later still"));
  expect(keeper.figures().waiting).toBe(501);
  for (let each = 0; each < 2 * ROWS_MAX; each++) keeper.line(line("much later"));
  expect(keeper.read(0)).toBe(line("0"));
});

test("lines that go before they were handed over are counted as dropped, and no others", () => {
  const keeper = fed(ROWS_MAX);
  keeper.tail(1);
  for (let each = 0; each < ROWS_MAX; each++) keeper.line(line("x"));
  expect(keeper.figures().dropped).toBe(0);
  for (let each = 0; each < ROWS_MAX; each++) keeper.line(line("y"));
  expect(keeper.figures().dropped).toBe(ROWS_MAX - 1_000);
});

test("clearing drops nothing that counts, and what is waiting counts anew", () => {
  const keeper = fed(10);
  keeper.hold(5);
  expect(keeper.figures().waiting).toBe(5);
  keeper.clear();
  keeper.hold(Number.MAX_SAFE_INTEGER);
  expect(keeper.figures()).toMatchObject({ received: 10, dropped: 0, waiting: 0 });
  expect(keeper.tail(9)).toMatchObject({ first: 10, end: 10, rows: [] });
});

test("what the server left out is one row where it happened", () => {
  const keeper = fed(1);
  keeper.leftOut(5);
  keeper.leftOut(6);
  keeper.line(line("after"));
  expect(keeper.tail(9).rows[1]).toEqual({ kind: "missed", seq: 1, count: 11 });
  expect(keeper.figures().missed).toBe(11);
});

test("rates are those of the seconds that are over", () => {
  const keeper = fed(3);
  keeper.tick();
  keeper.line(line("x"));
  keeper.tick();
  keeper.line(line("x"));
  expect(keeper.figures().perSecond).toEqual([3, 1]);
});

test("a row carries the beginning of a long message, and its event the whole", () => {
  const keeper = new Keeper();
  keeper.line(line("é".repeat(100_000)));
  const [row] = keeper.tail(1).rows;
  expect(row?.kind === "line" && row.message.length).toBe(MESSAGE_CHARS_MAX);
  expect(keeper.read(0)?.length).toBeGreaterThan(100_000);
});
