import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { get, Problem, type Schemas } from "../api/client";

const ASKED_MS = 5_000;
const ASKED_AWAY_MS = 2_000;

function useAway(): boolean {
  const asked = useQuery({
    queryKey: ["healthz"],
    queryFn: ({ signal }) => get<Schemas["Healthy"]>("/healthz", {}, signal),
    refetchInterval: (query) => (query.state.status === "error" ? ASKED_AWAY_MS : ASKED_MS),
    retry: false,
  });
  return asked.error instanceof Problem;
}

/** Calls `act` when the server answers again after it was away: for what is not a query of TanStack Query. */
export function useBackAgain(act: () => void): void {
  const away = useAway();
  const wasAway = useRef(away);
  const latest = useRef(act);
  useEffect(() => {
    latest.current = act;
  });
  useEffect(() => {
    if (wasAway.current && !away) latest.current();
    wasAway.current = away;
  }, [away]);
}

/**
 * Whether the server answers, asked every few seconds. When it is back after it was away, everything on the page that
 * failed, or that was not asked for meanwhile, is asked for again.
 */
export function useServer(): "ready" | "away" {
  const queries = useQueryClient();
  const away = useAway();
  useBackAgain(() => {
    void queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "healthz" });
  });
  return away ? "away" : "ready";
}
