import type { Arrow } from "./flow";

/** Where the lines between boxes run. */

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Line {
  id: string;
  /** Data of an SVG path. */
  path: string;
  /** How long the pattern takes to move on by itself; null: nothing flows. */
  durationS: number | null;
}

const GUTTER_STEP_PX = 5;
const CORNER_PX = 6;

export function linesBetween(arrows: readonly Arrow[], rects: ReadonlyMap<string, Rect>): Line[] {
  return arrows.flatMap((arrow, index) => {
    const from = rects.get(arrow.from);
    const to = rects.get(arrow.to);
    if (!from || !to) return [];
    const isStacked = to.x < from.x + from.width;
    const path = isStacked ? beside(from, to, index) : across(from, to);
    return [{ id: `${arrow.from} ${arrow.to}`, path, durationS: durationOf(arrow.perSecond) }];
  });
}

/** Ten times as much moves visibly faster; by whole steps, so that the picture does not jump at every poll. */
export function durationOf(perSecond: number | undefined): number | null {
  if (!perSecond) return null;
  const decade = Math.round(Math.log10(Math.max(1, perSecond)));
  return Math.max(0.3, 1.8 - 0.3 * decade);
}

function across(from: Rect, to: Rect): string {
  const startX = from.x + from.width;
  const startY = from.y + from.height / 2;
  const endX = to.x;
  const endY = to.y + to.height / 2;
  const bend = (endX - startX) / 2;
  return `M${startX},${startY} C${startX + bend},${startY} ${endX - bend},${endY} ${endX},${endY}`;
}

/** In the gutter at the left, each line with a place of its own. */
function beside(from: Rect, to: Rect, index: number): string {
  const gutter = Math.max(2, from.x - 10 - (index % 4) * GUTTER_STEP_PX);
  const startY = from.y + from.height * 0.7;
  const endY = to.y + to.height * 0.3;
  const corner = CORNER_PX;
  return (
    `M${from.x},${startY} H${gutter + corner} Q${gutter},${startY} ${gutter},${startY + corner} ` +
    `V${endY - corner} Q${gutter},${endY} ${gutter + corner},${endY} H${to.x}`
  );
}
