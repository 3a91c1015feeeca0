import type { LogEvent } from "../../api/client";

export interface Choice {
  /** The API's `same`. */
  same: string;
  label: string;
}

/** From where lines around an event may be taken; only fields that it has make a choice. */
export function choices(event: LogEvent): Choice[] {
  const found: Choice[] = [];
  if (event.service !== null && event.host !== null)
    found.push({ same: "service,host", label: "Service and host" });
  else if (event.service !== null) found.push({ same: "service", label: "Same service" });
  if (event.host !== null) found.push({ same: "host", label: "Same host" });
  if (event.trace_id !== null) found.push({ same: "trace_id", label: "Same trace" });
  return [...found, { same: "", label: "Everything" }];
}
