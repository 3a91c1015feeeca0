import { useComputedColorScheme } from "@mantine/core";
import { useElementSize, useMergedRef } from "@mantine/hooks";
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatTime, useZone } from "../../time/zone";
import classes from "./Chart.module.css";
import { seriesColour } from "./colours";
import { Legend } from "./Legend";
import type { Mark } from "./plan";
import { type Drawn, type Series, stacked } from "./series";

interface TimePlotProps {
  drawn: Drawn<number>;
  mark: Mark;
  /** Whether the x axis is time, not plain numbers. */
  isTime: boolean;
  label: string;
}

/** Lines, areas or bars over time or numbers; areas and bars of several series are stacked. */
export default function TimePlot({ drawn, mark, isTime, label }: TimePlotProps) {
  const host = useRef<HTMLDivElement>(null);
  const { ref: sized, width, height } = useElementSize();
  const ref = useMergedRef(host, sized);
  const plot = useRef<uPlot | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const zone = useZone();
  const hasRoom = width > 0 && height > 0;

  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme changes the colours that are read here, and sizes are set below
  useEffect(() => {
    const box = host.current;
    if (!box || !hasRoom) return;
    const isStacked = mark !== "line" && drawn.series.length > 1;
    const shown = isStacked ? stacked(drawn.series) : drawn.series;
    const colour = (name: string) => readColour(box, name);
    const made = new uPlot(
      {
        width: box.clientWidth,
        height: box.clientHeight,
        legend: { show: false },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
        scales: {
          x: { time: isTime, range: (_, min, max) => xRange(drawn.xs, mark, min, max) },
          y: { range: (_, min, max) => yRange(mark, min, max) },
        },
        axes: [
          { ...axisLook(colour), ...(isTime ? { values: TIME_LABELS } : {}), space: 72 },
          { ...axisLook(colour), size: 60, values: (_, ticks) => ticks.map(tickText) },
        ],
        cursor: { points: { show: mark === "line" }, y: false },
        // The highest sum is drawn first, so that each lower one stands before it.
        series: [{}, ...shown.map((each, index) => seriesOptions(each, index, mark, colour)).reverse()],
        hooks: { setCursor: [(self) => setAt(self.cursor.idx ?? null)] },
      },
      [drawn.xs, ...shown.map((each) => each.values).reverse()],
      box,
    );
    plot.current = made;
    return () => {
      plot.current = null;
      made.destroy();
    };
  }, [drawn, mark, isTime, scheme, zone, hasRoom]);

  useEffect(() => {
    if (width > 0 && height > 0) plot.current?.setSize({ width, height });
  }, [width, height]);

  const x = at === null ? undefined : drawn.xs[at];
  return (
    <>
      <div ref={ref} className={classes.plot} role="img" aria-label={label} />
      <Legend
        series={drawn.series}
        at={x === undefined ? null : at}
        place={x === undefined ? "" : isTime ? formatTime(x * 1000, zone, "second") : x.toLocaleString("en")}
      />
    </>
  );
}

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

/**
 * Times of a day in 24 hours, and the day below where it is another: for ticks so far apart, and where the year, the day or
 * the minute is another, and whether that stands on a line of its own.
 */
const TIME_LABELS: uPlot.Axis.Values = [
  [365 * DAY_S, "{YYYY}", null, null, null, null, null, null, 1],
  [28 * DAY_S, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [DAY_S, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [MINUTE_S, "{HH}:{mm}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
  [0.001, "{HH}:{mm}:{ss}", "\n{D} {MMM} {YYYY}", null, "\n{D} {MMM}", null, null, null, 1],
];

function axisLook(colour: (name: string) => string): uPlot.Axis {
  const line = { stroke: colour("--line"), width: 1 };
  return {
    stroke: colour("--text-quiet"),
    font: `12px ${colour("--mantine-font-family")}`,
    grid: line,
    ticks: { ...line, size: 5 },
  };
}

function tickText(tick: number): string {
  return tick.toLocaleString("en", { notation: Math.abs(tick) >= 100_000 ? "compact" : "standard" });
}

function seriesOptions(
  { name }: Series,
  index: number,
  mark: Mark,
  colour: (name: string) => string,
): uPlot.Series {
  const stroke = colour(/--[\w-]+/.exec(seriesColour(name, index))?.[0] ?? "--accent");
  const bars = uPlot.paths.bars?.({ size: [0.82, 48], align: 0 });
  return {
    label: name,
    stroke,
    width: mark === "bar" ? 0 : 1.75,
    ...(mark === "line"
      ? {}
      : { fill: mark === "bar" ? stroke : `color-mix(in srgb, ${stroke} 62%, transparent)` }),
    ...(mark === "bar" && bars ? { paths: bars } : {}),
    points: { show: mark === "line" ? undefined : false, size: 5 },
  } as uPlot.Series;
}

/** A canvas knows no CSS variables. */
function readColour(host: HTMLElement, name: string): string {
  return getComputedStyle(host).getPropertyValue(name).trim();
}

/** Bars stand on the middle of their place, so that the first and the last need half a place more. */
function xRange(xs: readonly number[], mark: Mark, min: number, max: number): [number, number] {
  let step = Number.POSITIVE_INFINITY;
  for (let at = 1; at < xs.length; at++) step = Math.min(step, (xs[at] ?? 0) - (xs[at - 1] ?? 0));
  if (!Number.isFinite(step)) step = 60;
  if (mark === "bar") return [min - step / 2, max + step / 2];
  return min === max ? [min - step, max + step] : [min, max];
}

/** Bars and areas begin at zero, as their size is what is compared; lines too, unless that hides them. */
function yRange(mark: Mark, min: number | null, max: number | null): [number, number] {
  const high = max ?? 1;
  const low = min ?? 0;
  const fromZero = mark !== "line" || (low >= 0 && low < high * 0.8);
  const bottom = fromZero ? Math.min(0, low) : low - (high - low || Math.abs(high) || 1) * 0.08;
  const top = high + (high - bottom || 1) * 0.06;
  return [bottom, Math.max(top, fromZero && high <= 0 ? 0 : top)];
}
