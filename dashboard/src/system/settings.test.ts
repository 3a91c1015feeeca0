import { expect, test } from "vitest";
import { filtered, settingsOf } from "./settings";

const SETTINGS = settingsOf({
  data: "/var/lib/tailrace",
  stores: ["lake", "jsonl"],
  worker: { flush_interval_s: 2.0, flush_rows: 131072 },
  retention: { age_s: null, services: {} },
  kafka: { options: { "sasl.password": "********" } },
});

test("settings are lines with the names that the command line takes", () => {
  expect(SETTINGS.map(({ name, value }) => `${name}=${value}`)).toEqual([
    "data=/var/lib/tailrace",
    "stores=lake, jsonl",
    "worker.flush_interval_s=2",
    "worker.flush_rows=131,072",
    "retention.age_s=not set",
    "retention.services=not set",
    "kafka.options.sasl.password=********",
  ]);
});

test("large numbers of bytes and seconds are said in words too", () => {
  const values = settingsOf({ body_bytes_max: 67_108_864, age_s: 3_600, flush_s: 2, tails_max: 4_096 });
  expect(values.map((each) => each.value)).toEqual(["67,108,864 (64 MiB)", "3,600 (1 h)", "2", "4,096"]);
});

test("words filter by name and value, in any case", () => {
  expect(filtered(SETTINGS, "Flush rows").map((each) => each.name)).toEqual(["worker.flush_rows"]);
  expect(filtered(SETTINGS, "jsonl").map((each) => each.name)).toEqual(["stores"]);
  expect(filtered(SETTINGS, "")).toHaveLength(7);
});
