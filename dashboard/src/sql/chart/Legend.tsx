import classes from "./Chart.module.css";
import { seriesColour } from "./colours";
import type { Series } from "./series";

/** Names and colours, with the values under the pointer. */
export function Legend({
  series,
  at,
  place,
}: {
  series: readonly Series[];
  at: number | null;
  place: string;
}) {
  return (
    <div className={classes.legend}>
      <ul>
        {series.map((each, index) => (
          <li key={each.name}>
            <span
              className={classes.swatch}
              style={{ background: seriesColour(each.name, index) }}
              aria-hidden
            />
            <bdi>{each.name}</bdi>
            {at !== null && <strong>{each.values[at]?.toLocaleString("en") ?? "–"}</strong>}
          </li>
        ))}
      </ul>
      <span className={classes.place}>{place}</span>
    </div>
  );
}
