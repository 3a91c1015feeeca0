import { describe, expect, it } from "vitest";
import { type Context, contextAt } from "./context";
import { termOffers, valueOffers } from "./offers";

/** The context at `|` in the text. */
function at(marked: string): Context | null {
  return contextAt(marked.replace("|", ""), marked.indexOf("|"));
}

function term(marked: string): Context & { kind: "term" } {
  const context = at(marked);
  if (context?.kind !== "term") throw new Error(`${marked} is at no term`);
  return context;
}

function value(marked: string): Context & { kind: "value" } {
  const context = at(marked);
  if (context?.kind !== "value") throw new Error(`${marked} is at no value`);
  return context;
}

describe("contextAt", () => {
  it("is at a term at the start of words", () => {
    expect(term("|")).toMatchObject({ prefix: "", followsTerm: false });
    expect(term("lev|")).toMatchObject({ from: 0, to: 3, prefix: "lev" });
    expect(term("card |")).toMatchObject({ from: 5, prefix: "", followsTerm: true });
    expect(term("card AND se|")).toMatchObject({ from: 9, prefix: "se", followsTerm: false });
    expect(term("(ser|")).toMatchObject({ from: 1, prefix: "ser" });
    expect(term("-ser|")).toMatchObject({ from: 1, prefix: "ser" });
  });

  it("is at the name when the colon follows", () => {
    expect(term("lev|el:ERROR")).toMatchObject({ from: 0, to: 5, prefix: "lev", hasColon: true });
  });

  it("is at a value behind a colon", () => {
    expect(value("level:|")).toMatchObject({ field: "level", from: 6, to: 6, prefix: "" });
    expect(value("level:ER|R x")).toMatchObject({ field: "level", from: 6, to: 9, prefix: "ER" });
    expect(value('service:"pay ga|')).toMatchObject({ field: "service", from: 8, prefix: "pay ga" });
    expect(value("my\\ field:x|")).toMatchObject({ field: "my field" });
  });

  it("is at a value in the brackets of a field", () => {
    expect(value("level:(ERROR OR |")).toMatchObject({ field: "level", prefix: "" });
    expect(value("level:(ERROR OR WA|)")).toMatchObject({ field: "level", prefix: "WA" });
    expect(term("level:(ERROR) se|").prefix).toBe("se");
  });

  it("is nowhere in quotes, regular expressions, ranges and behind comparisons", () => {
    for (const marked of ['"pay|', "/pa|y/", "latency_ms:[1|0 TO 20]", "latency_ms:>|", 'service:"pay"|']) {
      expect(at(marked)).toBeNull();
    }
  });
});

const FIELDS = [
  { name: "level", count: 10 },
  { name: "latency_ms", count: 7 },
  { name: "http.status", count: 4 },
];

describe("termOffers", () => {
  const labels = (marked: string) => termOffers(term(marked), FIELDS).map((each) => each.label);

  it("has the fields, what begins so before what holds it", () => {
    expect(labels("l|")).toEqual(["level", "latency_ms"]);
    expect(labels("s|").slice(0, 3)).toEqual(["service", "span_id", "latency_ms"]);
  });

  it("has the operators first behind a term, and NOT last where a term begins", () => {
    expect(labels("x |").slice(0, 3)).toEqual(["AND", "OR", "NOT"]);
    expect(labels("|").at(-1)).toBe("NOT");
    expect(labels("|")).not.toContain("AND");
  });

  it("writes a field with its colon, unless that is there", () => {
    expect(termOffers(term("http|"), FIELDS)[0]?.insert).toBe("http.status:");
    expect(termOffers(term("htt|p.status:4"), FIELDS)[0]?.insert).toBe("http.status");
  });
});

describe("valueOffers", () => {
  it("quotes what needs it", () => {
    const offers = valueOffers(value("service:pay|"), [{ name: "pay gate", count: 1 }]);
    expect(offers).toEqual([{ label: "pay gate", insert: '"pay gate"', detail: "1", kind: "value" }]);
  });

  it("knows the levels that no event has", () => {
    const labels = valueOffers(value("level:|"), [{ name: "INFO", count: 5 }]).map((each) => each.label);
    expect(labels.slice(0, 2)).toEqual(["INFO", "TRACE"]);
    expect(labels).toContain("FATAL");
    expect(labels).toContain(">=");
  });
});
