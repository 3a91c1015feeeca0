import { expect, it } from "vitest";
import type { LogEvent } from "../../api/client";
import { fieldsOf, lineText, prettyJson } from "./texts";

const event: LogEvent = {
  timestamp: "2025-03-28T10:00:00.000000Z",
  observed_timestamp: "2025-03-28T10:00:00.120000Z",
  level: null,
  message: "Something failed",
  service: "auth",
  host: null,
  trace_id: null,
  span_id: null,
  id: "0-42-7",
  attributes: { region: "eu", "http.status": "500" },
};

it("writes a line as the command line does", () => {
  expect(lineText(event)).toBe("2025-03-28T10:00:00.000000Z - auth - Something failed");
});

it("lists the fields that are there, attributes by name", () => {
  expect(fieldsOf(event).map((field) => field.name)).toEqual([
    "timestamp",
    "observed_timestamp",
    "service",
    "http.status",
    "region",
  ]);
});

it("indents messages that are JSON, and only those", () => {
  expect(prettyJson('{"a":[1]}')).toBe('{\n  "a": [\n    1\n  ]\n}');
  expect(prettyJson("[INFO] started")).toBeUndefined();
  expect(prettyJson("42")).toBeUndefined();
});
