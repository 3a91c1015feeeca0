import { describe, expect, it } from "vitest";
import { marked } from "../../ui/visible";
import { highlights } from "./highlight";

/** What stands out in a message, joined by `|`. */
function found(query: string, message: string): string {
  return marked(message, highlights(query).message)
    .filter((part) => part.marked)
    .map((part) => part.text)
    .join("|");
}

describe("highlights", () => {
  it("finds words in any case, as whole words only", () => {
    expect(found("card declined", "Card DECLINED by cardholder")).toBe("Card|DECLINED");
  });

  it("finds phrases side by side, whatever signs are between", () => {
    expect(found('"to 10.0.0.7:5432"', "connection to 10.0.0.7:5432 refused, to 10")).toBe(
      "to 10.0.0.7:5432",
    );
    expect(found("pay-service", "pay service and pay")).toBe("pay service");
  });

  it("finds signs as they stand", () => {
    expect(found('"=>"', "a => b")).toBe("=>");
  });

  it("finds wildcards over whole words", () => {
    expect(found("pay* te?t", "repay payment test")).toBe("payment|test");
  });

  it("leaves out what is negated, and what is about other fields", () => {
    expect(found("card NOT declined -test !x", "card declined test x")).toBe("card");
    expect(found("card -(declined OR test)", "card declined test")).toBe("card");
    expect(found("service:card message:declined", "card declined")).toBe("declined");
    expect(found("service:(card OR pay) fails", "card fails pay")).toBe("fails");
  });

  it("keeps the words of a named field to that field", () => {
    expect(highlights("message:card").others).toHaveLength(0);
    expect(highlights("card").others).toHaveLength(1);
  });

  it("finds simple expressions, with and without capitals", () => {
    expect(found("/ca[rd]{2}/", "card Card")).toBe("card");
    expect(found("/(?i)^card/", "CARD card")).toBe("CARD");
  });

  it("leaves out expressions that could take for ever here", () => {
    expect(highlights("/(a+)+$/").message).toHaveLength(0);
    expect(highlights("/.*.*x/").message).toHaveLength(0);
    expect(highlights("*a*b*c*").message).toHaveLength(0);
  });

  it("leaves out ranges, existence and an unfinished query", () => {
    expect(found("latency_ms:>250 http:[1 TO 5] user:*", "250 1 5")).toBe("");
    expect(found('card AND "decl', "card decl")).toBe("card|decl");
    expect(found("(", "(")).toBe("");
  });
});
