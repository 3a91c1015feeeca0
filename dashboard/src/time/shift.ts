/** Moving and widening a range of time. */
import { wordsOfSpan } from "./parse";
import type { TimeSpan, TimeWords } from "./range";

/** The span just before (-1) or after (1) this one. Null where it has no bounds to move. */
export function shifted(span: TimeSpan, direction: -1 | 1): TimeWords | null {
  if (span.startMs === undefined || span.endMs === undefined) return null;
  const byMs = direction * (span.endMs - span.startMs);
  return wordsOfSpan({ startMs: span.startMs + byMs, endMs: span.endMs + byMs });
}

/** Twice the span around the same middle, not past now. Null where there is nothing wider. */
export function widened(span: TimeSpan, nowMs: number): TimeWords | null {
  if (span.startMs === undefined || span.endMs === undefined) return null;
  const lengthMs = span.endMs - span.startMs;
  const endMs = Math.max(span.endMs, Math.min(span.endMs + lengthMs / 2, nowMs));
  return wordsOfSpan({ startMs: Math.round(endMs - 2 * lengthMs), endMs: Math.round(endMs) });
}
