import { type CSSProperties, type KeyboardEvent, type PointerEvent, useId, useState } from "react";
import { useZone } from "../../time/zone";
import { barAt, barText } from "./bars";
import classes from "./Histogram.module.css";
import type { DrawnHistogram } from "./stack";

interface BarChooserProps {
  histogram: DrawnHistogram;
  zoom(one: number, other: number): void;
  unzoom(): void;
}

/** The bar that is pointed at, and the stretch from where a drag (or Shift and an arrow) began. */
interface Choice {
  at: number;
  from: number | null;
}

/** Lies over the bars: tells the counts of the one pointed at, and zooms by mouse, finger or keyboard. */
export function BarChooser({ histogram, zoom, unzoom }: BarChooserProps) {
  const [choice, setChoice] = useState<Choice | null>(null);
  const hintId = useId();
  const zone = useZone();
  const bars = histogram.startsMs.length;
  // A new picture may have fewer bars than the choice remembers.
  const at = choice && Math.min(choice.at, bars - 1);
  const from = choice?.from == null ? at : Math.min(choice.from, bars - 1);

  function pointedBar(event: PointerEvent<HTMLElement>): number {
    const box = event.currentTarget.getBoundingClientRect();
    return barAt((event.clientX - box.left) / box.width, bars);
  }

  function released(event: PointerEvent<HTMLElement>) {
    const end = pointedBar(event);
    const begin = choice?.from;
    setChoice({ at: end, from: null });
    if (begin != null && begin !== end) zoom(begin, end);
  }

  function pressed(event: KeyboardEvent) {
    const now = at ?? bars - 1;
    const steps: Record<string, number> = {
      ArrowLeft: now - 1,
      ArrowRight: now + 1,
      PageDown: now - 10,
      PageUp: now + 10,
      Home: 0,
      End: bars - 1,
    };
    const step = steps[event.key];
    if (step !== undefined) {
      const next = Math.min(bars - 1, Math.max(0, step));
      setChoice({ at: next, from: event.shiftKey ? (choice?.from ?? now) : null });
    } else if (event.key === "Enter" && at !== null && from !== null) {
      setChoice(null);
      zoom(from, at);
    } else if (event.key === "Escape" && choice?.from != null) setChoice({ at: now, from: null });
    else if (event.key === "Escape" || event.key === "Backspace") unzoom();
    else return;
    event.preventDefault();
  }

  const range = at === null || from === null ? null : { first: Math.min(at, from), last: Math.max(at, from) };
  return (
    <>
      <div
        className={classes.over}
        role="slider"
        tabIndex={0}
        aria-label="Bars of the histogram"
        aria-describedby={hintId}
        aria-valuemin={0}
        aria-valuemax={bars - 1}
        aria-valuenow={at ?? bars - 1}
        aria-valuetext={spoken(histogram, range ?? { first: bars - 1, last: bars - 1 }, zone)}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          const bar = pointedBar(event);
          setChoice({ at: bar, from: bar });
        }}
        onPointerMove={(event) => {
          const bar = pointedBar(event);
          const isDragging = event.currentTarget.hasPointerCapture(event.pointerId);
          if (bar !== at || !isDragging)
            setChoice((before) => ({ at: bar, from: isDragging ? (before?.from ?? bar) : null }));
        }}
        onPointerUp={released}
        onPointerCancel={() => setChoice(null)}
        onPointerLeave={() => setChoice(null)}
        onBlur={() => setChoice(null)}
        onDoubleClick={unzoom}
        onKeyDown={pressed}
      >
        {range && (
          <div
            className={classes.chosen}
            style={{
              left: `${(100 * range.first) / bars}%`,
              width: `${(100 * (range.last - range.first + 1)) / bars}%`,
            }}
          />
        )}
      </div>
      <span id={hintId} className={classes.hidden}>
        Arrows choose a bar, Shift and arrows a stretch; Enter zooms into it, Escape comes back.
      </span>
      {range && <BarCounts histogram={histogram} range={range} zone={zone} />}
    </>
  );
}

interface Range {
  first: number;
  last: number;
}

/** The counts beside the bar; on the side where there is room. */
function BarCounts({ histogram, range, zone }: { histogram: DrawnHistogram; range: Range; zone: string }) {
  const middle = (range.first + range.last + 1) / 2 / histogram.startsMs.length;
  const rows = countsIn(histogram, range);
  return (
    <div
      className={classes.counts}
      data-side={middle > 0.5 ? "left" : "right"}
      style={{ "--bar-share": middle } as CSSProperties}
    >
      <div className={classes.time}>{barText(histogram, range.first, range.last, zone)}</div>
      {rows.map((each) => (
        <div key={`${each.kind} ${each.label}`} className={classes.count}>
          <span className={classes.swatch} style={{ background: each.color }} />
          <span className={classes.name}>{each.label}</span>
          <span className={classes.number}>{each.count.toLocaleString("en")}</span>
        </div>
      ))}
      {rows.length !== 1 && (
        <div className={classes.count}>
          <span className={classes.name}>{rows.length === 0 ? "No event" : "All"}</span>
          <span className={classes.number}>{total(histogram, range).toLocaleString("en")}</span>
        </div>
      )}
    </div>
  );
}

function countsIn(histogram: DrawnHistogram, { first, last }: Range) {
  return [...histogram.series]
    .reverse()
    .map((each) => ({ ...each, count: sum(each.counts, first, last) }))
    .filter((each) => each.count > 0);
}

function total(histogram: DrawnHistogram, { first, last }: Range): number {
  return sum(histogram.totals, first, last);
}

function sum(counts: readonly number[], first: number, last: number): number {
  return counts.slice(first, last + 1).reduce((before, each) => before + each, 0);
}

function spoken(histogram: DrawnHistogram, range: Range, zone: string): string {
  const counts = countsIn(histogram, range).map((each) => `${each.count} ${each.label}`);
  return `${barText(histogram, range.first, range.last, zone)}: ${total(histogram, range)} events. ${counts.join(", ")}`;
}
