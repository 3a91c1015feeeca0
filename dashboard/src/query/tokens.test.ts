import { describe, expect, it } from "vitest";
import { plainText, tokenize } from "./tokens";

function kinds(text: string): string {
  return tokenize(text)
    .map((each) => `${each.kind}<${text.slice(each.from, each.to)}>`)
    .join(" ");
}

describe("tokenize", () => {
  it.each([
    ["card declined", "word<card> word<declined>"],
    ["level:ERROR", "field<level> colon<:> word<ERROR>"],
    ['service:"payment gateway"', 'field<service> colon<:> phrase<"payment gateway">'],
    ["a AND b OR NOT c", "word<a> operator<AND> word<b> operator<OR> operator<NOT> word<c>"],
    ["a && b || !c", "word<a> operator<&&> word<b> operator<||> sign<!> word<c>"],
    ["+card -test", "sign<+> word<card> sign<-> word<test>"],
    ["and", "word<and>"],
    ["host:fe80::1", "field<host> colon<:> word<fe80::1>"],
    ["temperature:-5", "field<temperature> colon<:> word<-5>"],
    ["latency_ms:>=250", "field<latency_ms> colon<:> comparison<>=> word<250>"],
    ["t:<-5", "field<t> colon<:> comparison<<> word<-5>"],
    ["latency_ms:[100 TO 500]", "field<latency_ms> colon<:> range<[100 TO 500]>"],
    ['timestamp:["yesterday 14:00" TO now}', 'field<timestamp> colon<:> range<["yesterday 14:00" TO now}>'],
    ["service:(a OR b)", "field<service> colon<:> open<(> word<a> operator<OR> word<b> close<)>"],
    [
      "l:(>1 AND <5)",
      "field<l> colon<:> open<(> comparison<>> word<1> operator<AND> comparison<<> word<5> close<)>",
    ],
    ["/ca[rd]{2} (x|y)/ z", "regex</ca[rd]{2} (x|y)/> word<z>"],
    ["pay* te?t", "wildcard<pay*> wildcard<te?t>"],
    ["a\\*b", "word<a\\*b>"],
    ["my\\ field:x", "field<my\\ field> colon<:> word<x>"],
    ["12\\:30", "word<12\\:30>"],
    ["pay-service", "word<pay-service>"],
  ])("%s", (text, expected) => expect(kinds(text)).toBe(expected));

  it("goes on behind what the server refuses", () => {
    expect(kinds("a ^ [b] : c")).toBe("word<a> wrong<^> wrong<[> word<b> wrong<]> wrong<:> word<c>");
    expect(kinds('x "never closed')).toBe('word<x> phrase<"never closed>');
    expect(kinds("/never closed")).toBe("regex</never closed>");
    expect(kinds("f:[1 TO")).toBe("field<f> colon<:> range<[1 TO>");
    expect(kinds("- a")).toBe("wrong<-> word<a>");
    expect(kinds("a\\")).toBe("word<a> wrong<\\>");
  });

  it("ends for every text, and leaves nothing but blanks between its tokens", () => {
    const signs = [
      '"',
      "\\",
      "/",
      "[",
      "]",
      "{",
      "}",
      "(",
      ")",
      ":",
      "<",
      ">",
      "=",
      "!",
      "+",
      "-",
      "*",
      " ",
      "a",
      "😀",
      "OR",
    ];
    let seed = 7;
    const next = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return signs[seed % signs.length] ?? "";
    };
    for (let round = 0; round < 2000; round++) {
      const text = Array.from({ length: round % 24 }, next).join("");
      let end = 0;
      for (const token of tokenize(text)) {
        expect(text.slice(end, token.from).trim()).toBe("");
        expect(token.to).toBeGreaterThan(token.from);
        end = token.to;
      }
      expect(text.slice(end).trim()).toBe("");
    }
  });
});

describe("plainText", () => {
  it("takes quotes and backslashes away", () => {
    expect(plainText('"a \\"b\\" \\\\"')).toBe('a "b" \\');
    expect(plainText("my\\ field")).toBe("my field");
    expect(plainText('"open')).toBe("open");
  });
});
