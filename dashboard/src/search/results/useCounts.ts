import { useQuery } from "@tanstack/react-query";
import { get, type Schemas } from "../../api/client";
import { apiTime } from "../../time/range";
import { useHistogram } from "../histogram/useHistogram";
import type { Run } from "../run";
import { justAfter } from "./event-key";
import type { EventPages } from "./pages";

const NEWER_INTERVAL_MS = 10_000;

interface CountOf {
  q?: string;
  start?: string;
  end?: string;
}

function count(of: CountOf, signal: AbortSignal): Promise<number> {
  return get<Schemas["Count"]>("/api/count", { ...of }, signal).then((answer) => answer.count);
}

/** How many events the run has in all, as the histogram of the page has counted them; undefined while it has not. */
export function useTotal(run: Run, by: string): number | undefined {
  const { data, isPlaceholderData } = useHistogram(run, by);
  return isPlaceholderData ? undefined : data?.count;
}

/**
 * How many matching events are newer than the newest that is shown. Asked every few seconds while the page is looked at,
 * and only of the time since, which costs the server little. `isUpToNow`: whether the search has no end.
 */
export function useNewer(run: Run, pages: EventPages | undefined, isUpToNow: boolean): number {
  const newest = pages?.event(0)?.timestamp;
  const since = newest === undefined ? apiTime(run.startedMs) : justAfter(newest);
  const isAsked = isUpToNow && run.order === "desc" && pages?.begun === true;
  const asked = useQuery({
    queryKey: ["newer", run.q, since],
    queryFn: ({ signal }) => count({ q: run.q, start: since }, signal),
    enabled: isAsked,
    // Not at once: right after a search there is nothing to tell.
    initialData: 0,
    initialDataUpdatedAt: () => Date.now(),
    staleTime: NEWER_INTERVAL_MS,
    refetchInterval: NEWER_INTERVAL_MS,
    retry: false,
  });
  return isAsked ? asked.data : 0;
}

/** How many events there are without a bound of time, with the query and in all: for what to say when a search finds none. */
export function useElsewhere(
  run: Run,
  enabled: boolean,
): { matching?: number | undefined; all?: number | undefined } {
  const matching = useQuery({
    queryKey: ["count", "matching", run],
    queryFn: ({ signal }) => count({ q: run.q }, signal),
    enabled,
  });
  const all = useQuery({
    queryKey: ["count", "all", run.startedMs],
    queryFn: ({ signal }) => count({}, signal),
    enabled,
  });
  return { matching: matching.data, all: all.data };
}
