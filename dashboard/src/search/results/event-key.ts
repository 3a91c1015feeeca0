import type { LogEvent } from "../../api/client";

/** What the address says of the opened event: `id@timestamp`. The time leads the server to it. */
export function keyOf(event: LogEvent): string {
  return `${event.id}@${event.timestamp}`;
}

/** Undefined when the text is no such key. */
export function readKey(key: string): { id: string; at: string } | undefined {
  const sign = key.indexOf("@");
  if (sign < 1 || sign === key.length - 1) return undefined;
  return { id: key.slice(0, sign), at: key.slice(sign + 1) };
}

/** The timestamp one microsecond on, for ranges that begin behind an event. */
export function justAfter(timestamp: string): string {
  const micros = Number(timestamp.slice(20, 26)) + 1;
  if (micros < 1_000_000) return `${timestamp.slice(0, 20)}${String(micros).padStart(6, "0")}Z`;
  const second = new Date(Date.parse(`${timestamp.slice(0, 19)}Z`) + 1000);
  return `${second.toISOString().slice(0, 19)}.000000Z`;
}
