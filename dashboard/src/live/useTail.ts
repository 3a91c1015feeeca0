import { useEffect, useState, useSyncExternalStore } from "react";
import { TailClient, type TailView } from "./tail-client";

/** Follows the events that match `q` for as long as the component is shown. Null for a moment at first. */
export function useTailClient(q: string): TailClient | null {
  const [client, setClient] = useState<TailClient | null>(null);
  useEffect(() => {
    const made = new TailClient(q);
    setClient(made);
    return () => made.close();
  }, [q]);
  return client;
}

/** One part of what the tail shows. Parts change at their own pace, and only who shows one is drawn again. */
export function useTailPart<Name extends keyof TailView>(client: TailClient, name: Name): TailView[Name] {
  return useSyncExternalStore(client.subscribe, () => client.snapshot()[name]);
}
