import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, useSyncExternalStore } from "react";
import { get } from "../../api/client";
import { apiSpan } from "../../time/range";
import type { Run } from "../run";
import { EventPages, type Page } from "./pages";

/** Little more than a screen, so that the first rows stand soon. */
const FIRST_PAGE_ROWS = 200;
const PAGE_ROWS = 500;

function pagesOf(run: Run): EventPages {
  return new EventPages((cursor, signal) =>
    get<Page>(
      "/api/search",
      {
        q: run.q,
        ...apiSpan(run.span),
        order: run.order,
        limit: cursor === null ? FIRST_PAGE_ROWS : PAGE_ROWS,
        cursor,
      },
      signal,
    ),
  );
}

interface Shown {
  run: Run;
  pages: EventPages;
}

/**
 * The events of `run`. Until its first page is here, those of the run before stay, and `isOld` says so: nothing blinks
 * while somebody types. Undefined before the very first page.
 */
export function useEventPages(run: Run): { pages: EventPages | undefined; run: Run; isOld: boolean } {
  const [shown, setShown] = useState<Shown>();
  const queries = useQueryClient();

  useEffect(() => {
    const pages = pagesOf(run);
    const unsubscribe = pages.subscribe(() => {
      if (pages.begun || pages.error) setShown({ run, pages });
    });
    pages.want(0, 0);
    const unheal = queries.getQueryCache().subscribe((event) => {
      const isServerThere =
        event.type === "updated" && event.action.type === "success" && event.query.queryKey[0] === "healthz";
      if (isServerThere && pages.error) pages.retry(true);
    });
    return () => {
      unsubscribe();
      unheal();
      pages.close();
    };
  }, [run, queries]);

  useSyncExternalStore(shown?.pages.subscribe ?? neverChanges, shown?.pages.snapshot ?? noVersion);
  return { pages: shown?.pages, run: shown?.run ?? run, isOld: shown !== undefined && shown.run !== run };
}

function neverChanges(): () => void {
  return () => {};
}

function noVersion(): number {
  return 0;
}
