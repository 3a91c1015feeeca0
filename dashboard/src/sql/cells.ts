/** Values of a result as text. */

/** The whole value on one line; NULL is empty. */
export function wholeText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The value over several lines, for reading it at leisure. */
export function spreadText(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value, null, 2) : wholeText(value);
}
