import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { get, Problem, type Schemas } from "../api/client";

/**
 * Whether the server answers, asked every few seconds. When it is back after it was away, everything on the page that
 * failed is asked for again.
 */
export function useServer(): "ready" | "away" {
  const queries = useQueryClient();
  const asked = useQuery({
    queryKey: ["healthz"],
    queryFn: ({ signal }) => get<Schemas["Healthy"]>("/healthz", {}, signal),
    refetchInterval: (query) => (query.state.status === "error" ? 2_000 : 5_000),
    retry: false,
  });
  const away = asked.error instanceof Problem;
  const wasAway = useRef(false);
  useEffect(() => {
    if (wasAway.current && !away)
      void queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "healthz" });
    wasAway.current = away;
  }, [away, queries]);
  return away ? "away" : "ready";
}
