import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useZone } from "../../time/zone";
import { compactCount, tickTexts } from "./bars";
import { type DrawnHistogram, stackedTops } from "./stack";

/** Room around the bars in pixels; `.over` in the style sheet has the same. */
const PLOT_LEFT_PX = 46;
const PLOT_RIGHT_PX = 28;
const PLOT_TOP_PX = 8;
const AXIS_HEIGHT_PX = 24;
const SEGMENT_HEIGHT_MIN_PX = 2;

/** The bars and axes on a canvas, as large as the element around them. */
export function HistogramChart({ histogram }: { histogram: DrawnHistogram }) {
  const place = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light", { getInitialValueInEffect: false });
  const zone = useZone();

  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours are read from the page, and differ by scheme
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const size = () => ({ width: element.clientWidth, height: element.clientHeight });
    const plot = new uPlot(
      { ...size(), ...options(histogram, zone, element) },
      data(histogram, element.clientHeight),
      element,
    );
    const resized = new ResizeObserver(() => plot.setSize(size()));
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [histogram, scheme, zone]);

  return <div ref={place} style={{ height: "100%" }} />;
}

/** Each series as bars from the base up to its top: the highest is drawn first, and those below it over it. */
function data(histogram: DrawnHistogram, heightPx: number): uPlot.AlignedData {
  const least = SEGMENT_HEIGHT_MIN_PX / Math.max(1, heightPx - AXIS_HEIGHT_PX - PLOT_TOP_PX);
  const { tops } = stackedTops(histogram.series, least);
  return [histogram.startsMs.map((each) => each / 1000), ...tops.reverse()];
}

function options(
  histogram: DrawnHistogram,
  zone: string,
  element: HTMLElement,
): Omit<uPlot.Options, "width" | "height"> {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(name.replace(/^var\(|\)$/g, "")).trim();
  const firstS = (histogram.startsMs[0] ?? 0) / 1000;
  const lastS = (histogram.startsMs.at(-1) ?? 0) / 1000 + histogram.intervalMs / 1000;
  const bars = uPlot.paths.bars?.({
    size: [1, Number.POSITIVE_INFINITY],
    gap: gapPx(histogram, element),
    align: 1,
  });
  const font = `11px ${style.fontFamily}`;
  return {
    padding: [PLOT_TOP_PX, PLOT_RIGHT_PX, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    scales: {
      x: { time: true, range: () => [firstS, lastS] },
      y: { range: (_, __, max) => [0, max > 0 ? max : 1] },
    },
    axes: [
      {
        font,
        size: AXIS_HEIGHT_PX,
        gap: 4,
        space: 76,
        stroke: color("--text-quiet"),
        grid: { show: false },
        ticks: { stroke: color("--line-strong"), width: 1, size: 4 },
        values: (_, ticksS, __, ___, stepS) => tickTexts(ticksS, stepS, zone),
      },
      {
        font,
        size: PLOT_LEFT_PX,
        gap: 6,
        space: 20,
        incrs: [1, 2, 5]
          .flatMap((each) => Array.from({ length: 13 }, (_, power) => each * 10 ** power))
          .sort((a, b) => a - b),
        stroke: color("--text-quiet"),
        grid: { stroke: color("--line"), width: 1 },
        ticks: { show: false },
        values: (_, counts) => counts.map(compactCount),
      },
    ],
    series: [
      {},
      ...[...histogram.series].reverse().map((each) => ({
        fill: color(each.color),
        width: 0,
        points: { show: false },
        ...(bars ? { paths: bars } : {}),
      })),
    ],
  };
}

/** A gap of a pixel, as long as the bars are wide enough to lose one. */
function gapPx(histogram: DrawnHistogram, element: HTMLElement): number {
  return element.clientWidth / Math.max(1, histogram.startsMs.length) > 4 ? 1 : 0;
}
