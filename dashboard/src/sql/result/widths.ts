import type { Answer } from "../answer";
import { wholeText } from "../cells";

const CHARACTER_PX = 7.7;
const PADDING_PX = 26;
const SORT_SIGN_PX = 20;
const WIDTH_MIN_PX = 84;
const WIDTH_MAX_PX = 460;
const LOOKED_AT_ROWS = 200;

/** Widths that show what most cells hold; the last column takes what is left of `room`. */
export function columnWidths(answer: Answer, roomPx: number): number[] {
  const widths = answer.columns.map((column, index) => {
    let longest = 4; // NULL
    for (const row of answer.rows.slice(0, LOOKED_AT_ROWS)) {
      longest = Math.max(longest, wholeText(row[index]).length);
    }
    const cells = longest * CHARACTER_PX + PADDING_PX;
    const head = column.name.length * CHARACTER_PX + PADDING_PX + SORT_SIGN_PX;
    return Math.round(Math.min(Math.max(cells, head, WIDTH_MIN_PX), WIDTH_MAX_PX));
  });
  const left = roomPx - widths.reduce((sum, each) => sum + each, 0);
  const last = answer.columns.at(-1);
  if (last && left > 0 && (last.kind === "text" || last.kind === "nested")) {
    widths.push((widths.pop() ?? 0) + left);
  }
  return widths;
}
