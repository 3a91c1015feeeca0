import type { LogEvent } from "../../api/client";

/** The event in one line, as `tailrace search` prints it. */
export function lineText(event: LogEvent): string {
  return [event.timestamp, event.level ?? "-", event.service ?? "-", event.host ?? "-", event.message].join(
    " ",
  );
}

export function jsonText(event: LogEvent): string {
  return JSON.stringify(event, null, 2);
}

/** Longer messages take longer to parse than anybody waits for a look. */
const PRETTY_MAX = 200_000;

/** A message that is a JSON object or array, indented; undefined when it is none. */
export function prettyJson(message: string): string | undefined {
  if (!/^\s*[[{]/.test(message) || message.length > PRETTY_MAX) return undefined;
  try {
    return JSON.stringify(JSON.parse(message), null, 2);
  } catch {
    return undefined;
  }
}

export interface Field {
  name: string;
  value: string;
}

const STANDARD = [
  "timestamp",
  "observed_timestamp",
  "level",
  "service",
  "host",
  "trace_id",
  "span_id",
] as const;

/** What an event has besides its message: the fields of every event first, attributes by name. */
export function fieldsOf(event: LogEvent): Field[] {
  const standard = STANDARD.flatMap((name) => {
    const value = event[name];
    return value === null ? [] : [{ name, value }];
  });
  const attributes = Object.entries(event.attributes)
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...standard, ...attributes];
}
