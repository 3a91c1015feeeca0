import { LEVELS, levelArea } from "../../ui/levels";
import { SERIES_MAX } from "./series";

/** CSS colour of a series: that of its level when it is named after one. */
export function seriesColour(name: string, index: number): string {
  const level = LEVELS.find((each) => each === name);
  return level ? levelArea(level) : `var(--series-${(index % SERIES_MAX) + 1})`;
}
