/** Place in a text, from 0 in UTF-16, of a column that the server counts from 1 in characters. Null stays null. */
export function placeOfColumn(text: string, column: number | null): number | null {
  if (column === null) return null;
  return [...text].slice(0, Math.max(0, column - 1)).join("").length;
}
