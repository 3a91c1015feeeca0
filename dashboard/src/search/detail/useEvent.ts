import { useQuery } from "@tanstack/react-query";
import { get, type LogEvent, Problem, type Schemas } from "../../api/client";
import { readKey } from "../results/event-key";

export function eventQueryKey(openKey: string): string[] {
  return ["event", openKey];
}

/** The event that `id@timestamp` names. Rows put theirs there when they are opened, so only links ask the server. */
export function useEvent(openKey: string) {
  return useQuery<LogEvent>({
    queryKey: eventQueryKey(openKey),
    queryFn: async ({ signal }) => {
      const key = readKey(openKey);
      if (!key) throw new Problem(404, "The link names no line: a part of it may be missing.");
      const around = await get<Schemas["Context"]>("/api/context", { ...key, before: 1, after: 0 }, signal);
      return around.event;
    },
    // An event does not change.
    staleTime: Number.POSITIVE_INFINITY,
  });
}
