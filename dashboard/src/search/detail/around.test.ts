import { expect, it } from "vitest";
import type { LogEvent } from "../../api/client";
import { choices } from "./around";

const event: LogEvent = {
  timestamp: "2025-03-28T10:00:00.000000Z",
  observed_timestamp: "2025-03-28T10:00:00.000000Z",
  level: "INFO",
  message: "m",
  service: "auth",
  host: "web-1",
  trace_id: "4bf9",
  span_id: null,
  id: "0-42-7",
  attributes: {},
};

it("offers the closest lines first and everything last", () => {
  expect(choices(event).map((each) => each.same)).toEqual(["service,host", "host", "trace_id", ""]);
});

it("offers nothing that the event has not", () => {
  expect(choices({ ...event, host: null, trace_id: null }).map((each) => each.same)).toEqual(["service", ""]);
  expect(choices({ ...event, service: null, host: null, trace_id: null })).toHaveLength(1);
});
