import { IconChevronRight } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { memo } from "react";
import { apiTime } from "../time/range";
import { formatTime } from "../time/zone";
import { LogText } from "../ui/LogText";
import { levelArea, levelText } from "../ui/levels";
import { cut, visible } from "../ui/visible";
import { type Marker, paint } from "./highlight";
import classes from "./Live.module.css";
import type { Row } from "./protocol";

/** Where a line is cut that is not wrapped: past the widest screen. */
const ONE_LINE_CHARS_MAX = 600;

interface TailRowProps {
  row: Row;
  zone: string;
  q: string;
  wrap: boolean;
  markers: readonly Marker[];
  isOpen: boolean;
  isChosen: boolean;
  toggle: (seq: number) => void;
}

export const TailRow = memo(function TailRow(props: TailRowProps) {
  const { row, zone, q, wrap, markers, isOpen, isChosen, toggle } = props;
  if (row.kind === "missed") {
    return (
      <div className={classes.note}>
        {row.count.toLocaleString("en")} events went by here unseen: they came faster than this browser reads.
      </div>
    );
  }
  if (row.kind === "gap") {
    const time = (ms: number) => formatTime(ms, zone, "second").slice(11);
    return (
      <div className={classes.note}>
        No connection from {time(row.fromMs)} to {time(row.untilMs)}.{" "}
        <Link to="/" search={{ q, start: apiTime(row.fromMs), end: apiTime(row.untilMs) }}>
          Search that time
        </Link>
      </div>
    );
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents lint/a11y/noStaticElementInteractions: the row's button does the same for keys
    <div
      className={classes.row}
      data-wrap={wrap}
      data-chosen={isChosen}
      style={{ "--level": levelText(row.level), "--edge": levelArea(row.level) } as React.CSSProperties}
      onClick={() => {
        if (document.getSelection()?.isCollapsed !== false) toggle(row.seq);
      }}
    >
      <button
        type="button"
        className={classes.open}
        aria-expanded={isOpen}
        aria-label={isOpen ? "Close the line" : "All fields of the line"}
        onClick={(event) => {
          event.stopPropagation();
          toggle(row.seq);
        }}
      >
        <IconChevronRight size={14} stroke={2} aria-hidden />
      </button>
      <time className={classes.time} dateTime={row.timestamp}>
        {formatTime(row.timestamp, zone).slice(11)}
      </time>
      <span className={classes.level}>{row.level ?? "–"}</span>
      <span className={classes.service}>{row.service !== null && <LogText text={row.service} />}</span>
      <span className={classes.message}>
        <Painted text={row.message} wrap={wrap} markers={markers} />
      </span>
    </div>
  );
});

function Painted({ text, wrap, markers }: { text: string; wrap: boolean; markers: readonly Marker[] }) {
  const lengthMax = wrap ? text.length : ONE_LINE_CHARS_MAX;
  if (markers.length === 0)
    return <LogText text={text} lines={wrap ? "many" : "one"} lengthMax={lengthMax} />;
  const shown = visible(cut(text, lengthMax), wrap ? "many" : "one");
  return (
    <span className={classes.painted}>
      {paint(shown, markers).map((part, index) =>
        part.colour === null ? (
          part.text
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: parts have no identity but their place
          <mark key={index} className={classes.mark} data-colour={part.colour}>
            {part.text}
          </mark>
        ),
      )}
    </span>
  );
}
