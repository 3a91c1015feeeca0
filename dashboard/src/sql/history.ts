/** The statements that ran in this browser, newest first. */

const KEY = "tailrace.sql.history";
const STATEMENTS_MAX = 50;

export function readHistory(storage: Pick<Storage, "getItem"> = localStorage): string[] {
  try {
    const kept: unknown = JSON.parse(storage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((each) => typeof each === "string") : [];
  } catch {
    return []; // another program's text, or a browser that keeps nothing
  }
}

export function remember(
  statement: string,
  storage: Pick<Storage, "getItem" | "setItem"> = localStorage,
): string[] {
  const text = statement.trim();
  const history = [text, ...readHistory(storage).filter((each) => each !== text)].slice(0, STATEMENTS_MAX);
  try {
    storage.setItem(KEY, JSON.stringify(history));
  } catch {
    // A full or forbidden storage costs the history and nothing else.
  }
  return history;
}
