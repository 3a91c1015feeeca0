import { memo, useState } from "react";
import classes from "./LogText.module.css";
import { cut, marked, visible } from "./visible";

const NO_PATTERNS: readonly RegExp[] = [];

interface LogTextProps {
  text: string;
  /** Global patterns; what they find stands out. */
  patterns?: readonly RegExp[];
  /** Line breaks shown as breaks ("many") or as a sign ("one"). */
  lines?: "one" | "many";
  /** Characters that are shown of it. */
  lengthMax?: number;
}

/** Text that anybody may have sent, shown harmlessly. */
export const LogText = memo(function LogText({
  text,
  patterns = NO_PATTERNS,
  lines = "one",
  lengthMax = 1000,
}: LogTextProps) {
  const shown = visible(cut(text, lengthMax), lines);
  const className = lines === "many" ? `${classes.text} ${classes.many}` : classes.text;
  return (
    <span className={className}>
      {patterns.length === 0
        ? shown
        : marked(shown, patterns).map((part, index) =>
            // biome-ignore lint/suspicious/noArrayIndexKey: parts have no identity but their place
            part.marked ? <mark key={index}>{part.text}</mark> : part.text,
          )}
      {text.length > lengthMax && <span className={classes.cut}>…</span>}
    </span>
  );
});

/** The same with a button that shows the rest of a long text. */
export function LongLogText({ text, patterns = NO_PATTERNS, lengthMax = 2000 }: LogTextProps) {
  const [all, setAll] = useState(false);
  const isLong = text.length > lengthMax;
  return (
    <>
      <LogText
        text={text}
        lines="many"
        patterns={all ? NO_PATTERNS : patterns}
        lengthMax={all ? text.length : lengthMax}
      />
      {isLong && (
        <button type="button" className={classes.more} onClick={() => setAll(!all)}>
          {all ? "Show less" : `Show all ${text.length.toLocaleString("en")} characters`}
        </button>
      )}
    </>
  );
}
