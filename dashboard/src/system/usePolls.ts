import { useQuery } from "@tanstack/react-query";
import { useMemo, useRef } from "react";
import { get, type Schemas, send } from "../api/client";
import { Change, type Poll } from "./polls";
import { parseMetrics } from "./prometheus";

const INTERVAL_MS = 2_000;
/** Rates are those of ten seconds: stores take events in bursts, two seconds apart. */
const POLLS_MAX = 6;

async function ask(signal: AbortSignal): Promise<Poll> {
  const [status, metrics] = await Promise.all([
    get<Schemas["Status"]>("/api/status", {}, signal),
    send("/metrics", { signal }).then((response) => response.text()),
  ]);
  return { atMs: performance.now(), status, metrics: parseMetrics(metrics) };
}

/** What the server says of itself, every two seconds, and how that changed. */
export function usePolls(): { change: Change | null; error: Error | null; again: () => void } {
  const polls = useRef<Poll[]>([]);
  const asked = useQuery({
    queryKey: ["system"],
    queryFn: ({ signal }) => ask(signal),
    refetchInterval: INTERVAL_MS,
    structuralSharing: false,
    gcTime: 0,
  });
  const change = useMemo(() => {
    const now = asked.data;
    if (!now) return null;
    const { current } = polls;
    if (current.at(-1) !== now) current.push(now);
    if (current.length > POLLS_MAX) current.shift();
    return new Change(now, current.length > 1 ? current[0] : undefined);
  }, [asked.data]);
  return { change, error: asked.error, again: () => void asked.refetch() };
}
