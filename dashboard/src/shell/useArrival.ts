import { useLocation, useMatches } from "@tanstack/react-router";
import { type RefObject, useEffect, useRef } from "react";

interface Arrival {
  /** Name of the page that is shown. */
  title: string;
  /** For the element that holds the page. */
  content: RefObject<HTMLElement | null>;
}

/**
 * What a browser does by itself when it loads another page, done for pages that change within one: the window is named
 * after the page, and the focus goes to its content, unless something in it has taken it already.
 */
export function useArrival(): Arrival {
  const content = useRef<HTMLElement>(null);
  const title = useMatches({
    select: (matches) => matches.findLast((each) => each.staticData.title)?.staticData.title ?? "Not found",
  });
  const path = useLocation({ select: (location) => location.pathname });
  const shown = useRef(path);
  useEffect(() => {
    document.title = `${title} · Tailrace`;
  }, [title]);
  useEffect(() => {
    if (shown.current === path) return;
    shown.current = path;
    const page = content.current;
    if (page && !page.contains(document.activeElement)) page.focus({ preventScroll: true });
  }, [path]);
  return { title, content };
}
