import { useQuery } from "@tanstack/react-query";
import { get, type LogEvent, type Schemas } from "../api/client";

const INTERVAL_MS = 1_500;
const NEWEST = 8;

export interface Arrivals {
  count: number;
  newest: LogEvent[];
}

/** How many events the server has, and the newest of them, asked for again and again. Undefined until the first answer. */
export function useArrivals(): Arrivals | undefined {
  const count = useQuery({
    queryKey: ["start", "count"],
    queryFn: ({ signal }) => get<Schemas["Count"]>("/api/count", {}, signal),
    refetchInterval: INTERVAL_MS,
  });
  const newest = useQuery({
    queryKey: ["start", "newest"],
    queryFn: ({ signal }) => get<Schemas["EventsPage"]>("/api/search", { limit: NEWEST }, signal),
    enabled: (count.data?.count ?? 0) > 0,
    refetchInterval: INTERVAL_MS,
  });
  return count.data && { count: count.data.count, newest: newest.data?.events ?? [] };
}
