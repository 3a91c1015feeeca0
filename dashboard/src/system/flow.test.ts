import { expect, test } from "vitest";
import type { Schemas } from "../api/client";
import { flowOf } from "./flow";
import { Change } from "./polls";
import { parseMetrics } from "./prometheus";

const STATUS: Schemas["Status"] = {
  version: "0.1.0",
  now: "2026-11-21T15:54:34.750010Z",
  log: { bytes: 1024, bytes_max: 4096, records: 10, lag_records: { lake: 10 }, lag_rows: { lake: 153 } },
  stores: { lake: { files: 3, rows: 2294, bytes: 74700 }, "dead letters": { letters: 4 } },
  dead_letters: 4,
  settings: { hot: { url: "memory://", bytes_max: 1000 }, ingest: { body_bytes_in_flight_max: 1000 } },
};

function change(before: string, now: string, status = STATUS): Change {
  return new Change(
    { atMs: 2_000, status, metrics: parseMetrics(now) },
    { atMs: 0, status, metrics: parseMetrics(before) },
  );
}

const HERE = { hasGateway: true, demoRate: null };

test("each store has a worker and a place of its own, between the log and the api", () => {
  const status = { ...STATUS, log: { ...STATUS.log, lag_records: { lake: 1, jsonl: 2 }, lag_rows: {} } };
  const flow = flowOf(change("", "", status), HERE);
  expect(flow.boxes.map((box) => box.id)).toEqual([
    "gateway",
    "log",
    "worker lake",
    "store lake",
    "worker jsonl",
    "store jsonl",
    "hot",
    "api",
  ]);
  expect(flow.arrows.map((arrow) => `${arrow.from} > ${arrow.to}`)).toEqual([
    "gateway > log",
    "log > worker lake",
    "worker lake > store lake",
    "log > worker jsonl",
    "worker jsonl > store jsonl",
    "worker lake > hot",
    "store lake > api",
    "hot > api",
  ]);
});

test("rates are differences, and lag is counted in events where they are known", () => {
  const flow = flowOf(
    change(
      'tailrace_events_accepted_total 0\ntailrace_events_read_total{store="lake"} 10',
      'tailrace_events_accepted_total 400\ntailrace_events_read_total{store="lake"} 30\ntailrace_log_lag_records{store="lake"} 10',
    ),
    HERE,
  );
  expect(flow.arrows[0]?.perSecond).toBe(200);
  const worker = flow.boxes.find((box) => box.id === "worker lake");
  expect(worker?.figures.slice(0, 2)).toEqual([
    { label: "lag", value: "153 events" },
    { label: "read", value: "10/s" },
  ]);
  expect(flow.boxes.find((box) => box.id === "log")?.fill).toEqual({
    share: 0.25,
    of: "of log.backlog_bytes_max",
  });
});

test("where this process is only an api, gateway and workers are elsewhere and their rates not known", () => {
  const flow = flowOf(change("", ""), { hasGateway: false, demoRate: null });
  expect(flow.boxes.filter((box) => box.isElsewhere).map((box) => box.id)).toEqual([
    "gateway",
    "worker lake",
  ]);
  expect(flow.arrows.slice(0, 3).map((arrow) => arrow.perSecond)).toEqual([undefined, undefined, undefined]);
});

test("what is going wrong stands out", () => {
  const flow = flowOf(
    change(
      'tailrace_retries_total{place="lake"} 0',
      'tailrace_retries_total{place="lake"} 4\ntailrace_log_lag_records{store="lake"} 1\ntailrace_lake_damaged_files 1',
    ),
    HERE,
  );
  const bad = flow.boxes.flatMap((box) =>
    box.figures.filter((figure) => figure.bad).map((each) => each.label),
  );
  expect(bad).toEqual(["retries", "damaged files"]);
});

test("demo events go past the gateway", () => {
  const flow = flowOf(change("", ""), { hasGateway: true, demoRate: 200 });
  expect(flow.arrows.at(-1)).toEqual({ from: "demo", to: "log", perSecond: 200 });
});
