import { useEffect } from "react";

/** All keys, as the help shows them. A page binds those of its group with `useShortcuts`. */
export const SHORTCUTS = [
  { keys: "/", does: "Type a query", where: "Search, Live" },
  { keys: "t", does: "Choose a time", where: "Search" },
  { keys: "j", does: "Next row", where: "Search, Live" },
  { keys: "k", does: "Row before", where: "Search, Live" },
  { keys: "Enter", does: "Open or close the row", where: "Search, Live" },
  { keys: "c", does: "Lines around the row", where: "Search" },
  { keys: "w", does: "Wrap long lines", where: "Search, Live" },
  { keys: "p", does: "Pause or go on", where: "Live" },
  { keys: "Ctrl Enter", does: "Run the statement", where: "SQL" },
  { keys: "↑ ↓ ← →", does: "Go from cell to cell; Enter opens one", where: "SQL" },
  { keys: "l", does: "Live, with this query", where: "Everywhere" },
  { keys: "s", does: "Search, with this query", where: "Everywhere" },
  { keys: "?", does: "This help", where: "Everywhere" },
] as const;

export type Shortcut = (typeof SHORTCUTS)[number]["keys"];

/** Binds keys while the component is shown. They rest while somebody types, holds a modifier, or a dialog is open. */
export function useShortcuts(bound: Partial<Record<Shortcut, () => void>>): void {
  useEffect(() => {
    function pressed(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (isTyping(event.target) || document.querySelector("[role=dialog]")) return;
      const act = bound[event.key as Shortcut];
      if (!act) return;
      event.preventDefault();
      act();
    }
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable || target.matches("input, textarea, select, [role=combobox], [role=menuitem]")
  );
}
