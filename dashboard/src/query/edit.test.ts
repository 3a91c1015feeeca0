import { describe, expect, it } from "vitest";
import { addFilter, fieldName, hasOuterOr, quoteValue, removeFilter } from "./edit";

describe("quoteValue", () => {
  it.each(["ERROR", "pay-service", "10.0.0.7:5432", "größe", "a=b", "fe80::1", "user@example.org"])(
    "leaves %s as it is",
    (value) => expect(quoteValue(value)).toBe(value),
  );

  it.each([
    ["payment gateway", '"payment gateway"'],
    ["pay*", '"pay*"'],
    ['say "hi"', '"say \\"hi\\""'],
    ["C:\\temp", '"C:\\\\temp"'],
    ["/var/log", '"/var/log"'],
    ["AND", '"AND"'],
    ["-5", '"-5"'],
    ["!x", '"!x"'],
    ["(a)", '"(a)"'],
    ["", '""'],
    ["‮evil", '"‮evil"'],
  ])("quotes %s", (value, quoted) => expect(quoteValue(value)).toBe(quoted));
});

describe("fieldName", () => {
  it.each([
    ["http.status", "http.status"],
    ["my field", "my\\ field"],
    ["a:b", "a\\:b"],
    ["-x", "\\-x"],
    ["404", "attributes.404"],
    ["NOT", "attributes.NOT"],
  ])("writes %s as %s", (name, written) => expect(fieldName(name)).toBe(written));
});

describe("addFilter", () => {
  it("begins an empty query", () => {
    expect(addFilter(" ", "level", "ERROR", "for")).toBe("level:ERROR");
    expect(addFilter("", "level", "ERROR", "out")).toBe("NOT level:ERROR");
  });

  it("joins by AND", () => {
    expect(addFilter("card declined", "service", "pay gate", "for")).toBe(
      'card declined AND service:"pay gate"',
    );
  });

  it("puts an OR in brackets first", () => {
    expect(addFilter("a OR b", "level", "INFO", "out")).toBe("(a OR b) AND NOT level:INFO");
    expect(addFilter("a || b", "level", "INFO", "for")).toBe("(a || b) AND level:INFO");
  });

  it("needs no brackets around an OR that has some, or that is quoted", () => {
    expect(addFilter("(a OR b)", "level", "INFO", "for")).toBe("(a OR b) AND level:INFO");
    expect(addFilter('"a OR b"', "level", "INFO", "for")).toBe('"a OR b" AND level:INFO');
    expect(addFilter("level:(WARN OR ERROR)", "service", "pay", "for")).toBe(
      "level:(WARN OR ERROR) AND service:pay",
    );
  });

  it("asks for events with or without a field", () => {
    expect(addFilter("", "user.id", null, "for")).toBe("NOT user.id:*");
    expect(addFilter("", "user.id", null, "out")).toBe("user.id:*");
  });

  it("does not repeat what is there, however it is written", () => {
    expect(addFilter("level:ERROR AND x", "level", "ERROR", "for")).toBe("level:ERROR AND x");
    expect(addFilter('service:"pay"', "service", "PAY", "for")).toBe('service:"pay"');
    expect(addFilter("-level:INFO x", "level", "INFO", "out")).toBe("-level:INFO x");
  });

  it("turns the opposite round where it stands", () => {
    expect(addFilter("a AND level:ERROR AND b", "level", "ERROR", "out")).toBe("a AND NOT level:ERROR AND b");
    expect(addFilter("a -level:ERROR b", "level", "ERROR", "for")).toBe("a level:ERROR b");
    expect(addFilter("NOT user.id:*", "user.id", null, "out")).toBe("user.id:*");
  });

  it("leaves wildcards and inner conditions alone", () => {
    expect(addFilter("service:pay*", "service", "pay*", "for")).toBe('service:pay* AND service:"pay*"');
    expect(addFilter("NOT (level:ERROR x)", "level", "ERROR", "for")).toBe(
      "NOT (level:ERROR x) AND level:ERROR",
    );
  });

  it("cuts a long message at a word", () => {
    const query = addFilter("", "message", `${"word ".repeat(200)}end`, "for");
    expect(query.length).toBeLessThan(450);
    expect(query.endsWith('word"')).toBe(true);
    expect(addFilter(query, "message", `${"word ".repeat(200)}end`, "for")).toBe(query);
  });
});

describe("removeFilter", () => {
  it.each([
    ["level:ERROR", ""],
    ["level:ERROR AND x", "x"],
    ["x AND level:ERROR", "x"],
    ["x level:ERROR y", "x y"],
    ["a AND level:ERROR AND b", "a AND b"],
    ["a AND level:ERROR b", "a AND b"],
    ["a level:ERROR AND b", "a AND b"],
    ['a && level:"ERROR" && b', "a && b"],
  ])("takes it out of %s", (before, after) => {
    expect(removeFilter(before, "level", "ERROR", "for")).toBe(after);
  });

  it("takes a negated one with its negation", () => {
    expect(removeFilter("a AND NOT level:INFO AND b", "level", "INFO", "out")).toBe("a AND b");
    expect(removeFilter("a -level:INFO", "level", "INFO", "out")).toBe("a");
  });

  it("leaves what only looks like it", () => {
    expect(removeFilter("NOT level:ERROR", "level", "ERROR", "for")).toBe("NOT level:ERROR");
    expect(removeFilter("(level:ERROR)", "level", "ERROR", "for")).toBe("(level:ERROR)");
    expect(removeFilter("level:ERROR OR a", "level", "ERROR", "for")).toBe("level:ERROR OR a");
  });

  it("is the opposite of adding", () => {
    for (const query of ["a", "a b", "(a OR b) AND c", "NOT a"]) {
      const added = addFilter(query, "http.path", "/api?x=1", "out");
      expect(removeFilter(added, "http.path", "/api?x=1", "out")).toBe(query);
    }
  });
});

it("an OR counts outside of brackets only", () => {
  expect(hasOuterOr("a OR b")).toBe(true);
  expect(hasOuterOr("(a OR b) c")).toBe(false);
  expect(hasOuterOr("or")).toBe(false);
});
