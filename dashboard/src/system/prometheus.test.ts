import { expect, test } from "vitest";
import { parseMetrics, total } from "./prometheus";

const TEXT = `# HELP tailrace_events_read_total Events read.
# TYPE tailrace_events_read_total counter
tailrace_events_read_total{store="lake"} 2471.0
tailrace_events_read_total{store="a \\"b\\" \\\\ {c}, d"} 9.0
tailrace_log_bytes 1.7952764669446495e+09
tailrace_log_lag_records{store="lake"} NaN
tailrace_flush_seconds_bucket{le="+Inf",store="lake"} +Inf
this is no sample!
`;

test("samples have their labels and numbers", () => {
  const metrics = parseMetrics(TEXT);
  expect(metrics.get("tailrace_events_read_total")).toEqual([
    { labels: { store: "lake" }, value: 2471 },
    { labels: { store: 'a "b" \\ {c}, d' }, value: 9 },
  ]);
  expect(metrics.get("tailrace_flush_seconds_bucket")?.[0]).toEqual({
    labels: { le: "+Inf", store: "lake" },
    value: Number.POSITIVE_INFINITY,
  });
  expect(metrics.size).toBe(4);
});

test("a total is over all samples with the labels, and unknown where there are none or no number", () => {
  const metrics = parseMetrics(TEXT);
  expect(total(metrics, "tailrace_events_read_total")).toBe(2480);
  expect(total(metrics, "tailrace_events_read_total", { store: "lake" })).toBe(2471);
  expect(total(metrics, "tailrace_events_read_total", { store: "none" })).toBeUndefined();
  expect(total(metrics, "tailrace_log_lag_records")).toBeUndefined();
});
