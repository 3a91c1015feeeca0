import { LogText } from "../../ui/LogText";
import classes from "./Chart.module.css";
import { seriesColour } from "./colours";
import { Legend } from "./Legend";
import type { Drawn } from "./series";

/** A bar for each category, in parts when there are several series. Plain boxes: read by everybody, selected, printed. */
export function CategoryBars({ drawn, label }: { drawn: Drawn<string>; label: string }) {
  const sums = drawn.xs.map((_, at) =>
    drawn.series.reduce((sum, each) => sum + Math.abs(each.values[at] ?? 0), 0),
  );
  const largest = Math.max(...sums, 0) || 1;
  return (
    <>
      <ol className={classes.bars} aria-label={label}>
        {drawn.xs.map((name, at) => (
          <li key={name}>
            <span className={classes.category} title={name}>
              <LogText text={name} lengthMax={120} />
            </span>
            <span className={classes.track} aria-hidden>
              {drawn.series.map((each, index) => (
                <span
                  key={each.name}
                  title={drawn.series.length > 1 ? `${each.name}: ${valueText(each.values[at])}` : undefined}
                  style={{
                    width: `${(100 * Math.abs(each.values[at] ?? 0)) / largest}%`,
                    background: seriesColour(each.name, index),
                  }}
                />
              ))}
            </span>
            <span className={classes.value}>
              {drawn.series.length === 1 ? valueText(drawn.series[0]?.values[at]) : valueText(sums[at])}
            </span>
          </li>
        ))}
      </ol>
      {drawn.series.length > 1 && <Legend series={drawn.series} at={null} place="" />}
    </>
  );
}

function valueText(value: number | null | undefined): string {
  return value === null || value === undefined
    ? "NULL"
    : value.toLocaleString("en", { maximumFractionDigits: 3 });
}
