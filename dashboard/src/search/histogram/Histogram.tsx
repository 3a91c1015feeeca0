import { Button } from "@mantine/core";
import { IconZoomReset } from "@tabler/icons-react";
import type { UseQueryResult } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense } from "react";
import { Problem } from "../../api/client";
import { shortLength } from "../../time/label";
import { wordsOfSpan } from "../../time/parse";
import type { TimeWords } from "../../time/range";
import type { Run } from "../run";
import { BarChooser } from "./BarChooser";
import { spanOfBars } from "./bars";
import classes from "./Histogram.module.css";
import { SplitChoice } from "./SplitChoice";
import type { DrawnHistogram, DrawnSeries } from "./stack";

// Asked for at once, beside the first answer; where it does not come, the page does without bars.
const loaded = import("./HistogramChart").then(
  (module) => ({ default: module.HistogramChart }),
  () => ({ default: () => <p className={classes.reason}>The bars could not be loaded.</p> }),
);
const HistogramChart = lazy(() => loaded);

interface HistogramProps {
  run: Run;
  by: string;
  asked: UseQueryResult<DrawnHistogram>;
  split(by: string): void;
  /** Searches for one series, or ends that. */
  choose(series: DrawnSeries): void;
  zoom(words: TimeWords): void;
  unzoom: (() => void) | null;
  /** What stands before and after all else in its head. */
  before: ReactNode;
  children: ReactNode;
}

/** How many events there were when: the head says how many in all, the bars when, the legend of which kind. */
export function Histogram({ run, by, asked, split, choose, zoom, unzoom, before, children }: HistogramProps) {
  const histogram = asked.data;
  return (
    <section className={classes.histogram} aria-label="Histogram" aria-busy={asked.isFetching}>
      <div className={classes.head}>
        {before}
        <Total asked={asked} />
        <Legend histogram={histogram} choose={choose} />
        <div className={classes.tools}>
          {unzoom && (
            <Button
              size="compact-sm"
              variant="light"
              leftSection={<IconZoomReset size={15} stroke={1.8} />}
              onClick={unzoom}
            >
              Unzoom
            </Button>
          )}
          <SplitChoice run={run} by={by} split={split} />
          {children}
        </div>
      </div>
      <div className={classes.chart} data-old={asked.isPlaceholderData}>
        {asked.error && !histogram && <Reason error={asked.error} />}
        {histogram && histogram.startsMs.length > 0 && (
          <Suspense>
            <HistogramChart histogram={histogram} />
            <BarChooser
              histogram={histogram}
              zoom={(one, other) => zoom(wordsOfSpan(spanOfBars(histogram, one, other, run.span)))}
              unzoom={() => unzoom?.()}
            />
          </Suspense>
        )}
      </div>
    </section>
  );
}

function Total({ asked }: { asked: UseQueryResult<DrawnHistogram> }) {
  const histogram = asked.data;
  const isShown = histogram !== undefined && !asked.error;
  return (
    <div className={classes.total} role="status">
      <strong>{isShown ? histogram.count.toLocaleString("en") : "–"}</strong>
      <span>{histogram?.count === 1 ? "event" : "events"}</span>
      {isShown && histogram.startsMs.length > 0 && (
        <span className={classes.width}>{shortLength(histogram.intervalMs)} a bar</span>
      )}
    </div>
  );
}

interface LegendProps {
  histogram: DrawnHistogram | undefined;
  choose(series: DrawnSeries): void;
}

function Legend({ histogram, choose }: LegendProps) {
  if (!histogram || histogram.by === "") return <div className={classes.legend} />;
  return (
    <ul className={classes.legend} aria-label={`By ${histogram.by}`}>
      {histogram.series.map((each) => (
        <li key={`${each.kind} ${each.label}`}>
          <button
            type="button"
            className={classes.entry}
            disabled={each.kind === "others"}
            title={each.kind === "others" ? "All rarer values" : `Only ${each.label}; again: all`}
            onClick={() => choose(each)}
          >
            <span className={classes.swatch} style={{ background: each.color }} />
            <span className={classes.name}>{each.label}</span>
            <span className={classes.number}>{each.count.toLocaleString("en")}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

/** A wrong query is told of under the query line, so here only what went wrong besides. */
function Reason({ error }: { error: Error }) {
  const isQuery = error instanceof Problem && error.status === 400;
  return <p className={classes.reason}>{isQuery ? "" : error.message}</p>;
}
