import { IconArrowDown } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { formatTime } from "../time/zone";
import { LogText } from "../ui/LogText";
import { type Ordering, orderedPatterns, type Pattern, sparklinePoints, templateParts, trend } from "./model";
import classes from "./PatternsTable.module.css";

const SPARKLINE_WIDTH = 120;
const SPARKLINE_HEIGHT = 24;

interface PatternsTableProps {
  patterns: readonly Pattern[];
  ordering: Ordering;
  order: (ordering: Ordering) => void;
  zone: string;
  /** What the template of a pattern is: a link or a button that searches for it. */
  link: (pattern: Pattern, content: ReactNode) => ReactNode;
}

export function PatternsTable({ patterns, ordering, order, zone, link }: PatternsTableProps) {
  const largest = Math.max(...patterns.map((each) => each.count), 1);
  return (
    <table className={classes.table}>
      <thead>
        <tr>
          <th scope="col">Pattern</th>
          <Head name="count" text="Events" ordering={ordering} order={order} />
          <th scope="col">Over time</th>
          <Head name="trend" text="Trend" ordering={ordering} order={order} />
          <Head name="first_seen" text="First seen" ordering={ordering} order={order} />
        </tr>
      </thead>
      <tbody>
        {orderedPatterns(patterns, ordering).map((each) => {
          const { direction, text } = trend(each);
          return (
            <tr key={each.id}>
              <td className={classes.template} title={each.example.slice(0, 1000)}>
                {link(each, <Template template={each.template} />)}
              </td>
              <td className={classes.count}>
                <span>{each.count.toLocaleString("en")}</span>
                <span className={classes.track} aria-hidden>
                  <span style={{ width: `${(100 * each.count) / largest}%` }} />
                </span>
              </td>
              <td>
                <Sparkline values={each.sparkline} />
              </td>
              <td className={classes.trend} data-direction={direction} title={beforeText(each)}>
                {text}
              </td>
              <td className={classes.seen}>
                <time dateTime={each.first_seen}>{formatTime(each.first_seen, zone, "minute")}</time>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function beforeText({ before_count: before }: Pattern): string {
  return before === null ? "There is no window before this one" : `${before.toLocaleString("en")} before`;
}

interface HeadProps {
  name: Ordering;
  text: string;
  ordering: Ordering;
  order: (ordering: Ordering) => void;
}

function Head({ name, text, ordering, order }: HeadProps) {
  return (
    <th scope="col" aria-sort={ordering === name ? "descending" : "none"} data-column={name}>
      <button type="button" onClick={() => order(name)}>
        {text}
        <IconArrowDown size={13} aria-hidden data-shown={ordering === name} />
      </button>
    </th>
  );
}

function Template({ template }: { template: string }) {
  return templateParts(template).map((part, at) =>
    part.isWildcard ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: parts have no identity but their place
      <span key={at} className={classes.wildcard}>
        {part.text}
      </span>
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: parts have no identity but their place
      <LogText key={at} text={part.text} />
    ),
  );
}

/** The numbers are in the trend and the count; the line is for the eye. */
function Sparkline({ values }: { values: readonly number[] }) {
  const points = sparklinePoints(values, SPARKLINE_WIDTH, SPARKLINE_HEIGHT);
  return (
    <svg
      className={classes.sparkline}
      viewBox={`0 -1 ${SPARKLINE_WIDTH} ${SPARKLINE_HEIGHT + 2}`}
      width={SPARKLINE_WIDTH}
      height={SPARKLINE_HEIGHT + 2}
      aria-hidden
    >
      <polygon points={`0,${SPARKLINE_HEIGHT} ${points} ${SPARKLINE_WIDTH},${SPARKLINE_HEIGHT}`} />
      <polyline points={points} />
    </svg>
  );
}
