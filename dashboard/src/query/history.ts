/** The queries entered in this browser, newest first. */

const KEY = "tailrace-queries";
export const HISTORY_MAX = 50;

export function readHistory(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((each) => typeof each === "string") : [];
  } catch {
    return [];
  }
}

export function remember(query: string): void {
  if (query === "") return;
  const kept = [query, ...readHistory().filter((each) => each !== query)].slice(0, HISTORY_MAX);
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing has no history.
  }
}

export function forgetHistory(): void {
  localStorage.removeItem(KEY);
}

/**
 * What an arrow up (`older`) or down leads to from `text`, as in a shell. Null when the text is of the person's own typing:
 * then the arrows are for moving in it.
 */
export function recall(
  history: readonly string[],
  text: string,
  direction: "older" | "newer",
): string | null {
  const at = text === "" ? -1 : history.indexOf(text);
  if (at === -1 && text !== "") return null;
  if (direction === "older") return history[at + 1] ?? null;
  return at === -1 ? null : (history[at - 1] ?? "");
}
