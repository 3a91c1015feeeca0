import type { Saved } from "./api";

/** The link that opens it, whatever it becomes later. */
export function linkTo(id: string, origin: string = location.origin): string {
  return `${origin}/saved/${encodeURIComponent(id)}`;
}

/** The page that shows it. */
export function pageOf(saved: Pick<Saved, "kind">): "/" | "/sql" {
  return saved.kind === "sql" ? "/sql" : "/";
}

/** What it asks for, in one line. */
export function summary({ kind, state }: Pick<Saved, "kind" | "state">): string {
  if (kind === "sql") return textOf(state.query).replace(/\s+/g, " ").trim();
  const range = [textOf(state.start), textOf(state.end)].filter((each) => each !== "").join(" to ");
  const query = textOf(state.q).trim() || "every event";
  return range ? `${query} · ${range}` : query;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Whether `words`, all of them, are in its name or in what it asks for. */
export function matches(saved: Saved, words: string): boolean {
  const text = `${saved.name} ${saved.kind} ${summary(saved)}`.toLowerCase();
  return words
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** "Errors" becomes "Errors (2)", and that "Errors (3)", as far as it takes to be the only one. */
export function copyName(name: string, taken: readonly string[]): string {
  const stem = name.replace(/ \(\d+\)$/, "");
  let number = 2;
  while (taken.includes(`${stem} (${number})`)) number++;
  return `${stem} (${number})`;
}
