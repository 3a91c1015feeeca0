import { keepPreviousData, type UseQueryResult, useQuery } from "@tanstack/react-query";
import { get, type Schemas } from "../../api/client";
import { apiSpan } from "../../time/range";
import type { Run } from "../run";
import { type DrawnHistogram, drawnHistogram } from "./stack";

/** The run's histogram; while a new one is on its way, the one before. A run that is left is given up. */
export function useHistogram(run: Run, by: string): UseQueryResult<DrawnHistogram> {
  return useQuery({
    queryKey: ["histogram", run, by],
    queryFn: ({ signal }) => {
      // An empty `by` is a value here: no split.
      const parameters = new URLSearchParams({ ...apiSpan(run.span), q: run.q, by });
      return get<Schemas["Histogram"]>(`/api/histogram?${parameters}`, {}, signal);
    },
    select: drawnHistogram,
    placeholderData: keepPreviousData,
  });
}
