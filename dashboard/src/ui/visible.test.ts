import { describe, expect, it } from "vitest";
import { cut, marked, visible } from "./visible";

describe("visible", () => {
  it("leaves plain text, emoji and markup as they are", () => {
    expect(visible("<script>alert(1)</script> 👩‍🚀 ünï", "one")).toBe("<script>alert(1)</script> 👩‍🚀 ünï");
  });

  it("leaves out a terminal's colours and shows its other escapes", () => {
    expect(visible("\u001b[31;1mfailed\u001b[0m \u001b[2J", "one")).toBe("failed ‹ESC›[2J");
  });

  it("shows control characters as signs", () => {
    expect(visible("a\u0000b\u0007c\u007fd\u009be", "one")).toBe("a‹NUL›b‹BEL›c‹DEL›d�e");
  });

  it("names the marks that would turn the direction of text", () => {
    expect(visible("user\u202egpj.exe", "one")).toBe("user‹RLO›gpj.exe");
  });

  it("keeps line breaks where there is room for many lines, and shows them as a sign in one", () => {
    expect(visible("a\r\nb\n\tc", "many")).toBe("a\nb\n\tc");
    expect(visible("a\r\nb\n\tc", "one")).toBe("a↵b↵\tc");
  });
});

describe("cut", () => {
  it("does not part the two halves of an emoji", () => {
    expect(cut("ab👍", 3)).toBe("ab");
    expect(cut("ab👍", 4)).toBe("ab👍");
  });
});

describe("marked", () => {
  it("marks what the patterns find, overlaps once", () => {
    expect(marked("card declined", [/card d/g, /declined/g])).toEqual([
      { text: "card d", marked: true },
      { text: "eclined", marked: true },
    ]);
  });

  it("gives the whole text as one part when nothing is found", () => {
    expect(marked("fine", [/x/g])).toEqual([{ text: "fine", marked: false }]);
  });

  it("does not stop at patterns that find nothing at all", () => {
    expect(marked("ab", [/x*/g])).toEqual([{ text: "ab", marked: false }]);
  });
});
