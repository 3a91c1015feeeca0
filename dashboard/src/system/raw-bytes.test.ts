import { expect, test } from "vitest";
import { bytesOf, hexRows, readable } from "./raw-bytes";

test("bytes are shown sixteen a row with their place and what is readable of them", () => {
  const rows = hexRows(bytesOf(btoa("\xff\xfebin\x00ary {0123456789")), 100);
  expect(rows).toEqual([
    { offset: "000000", hex: "ff fe 62 69 6e 00 61 72 79 20 7b 30 31 32 33 34", text: "..bin.ary {01234" },
    { offset: "000010", hex: "35 36 37 38 39", text: "56789" },
  ]);
});

test("no more is shown than asked for", () => {
  expect(hexRows(new Uint8Array(1_000), 20).map((row) => row.text.length)).toEqual([16, 4]);
});

test("what is no UTF-8 can be read all the same", () => {
  expect(readable(new Uint8Array([0x61, 0xff, 0x62]))).toBe("a\ufffdb");
});
