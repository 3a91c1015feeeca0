// @vitest-environment happy-dom
import { act } from "react";
import { createRoot } from "react-dom/client";
import { expect, test, vi } from "vitest";
import type { Pattern } from "./model";
import { PatternsTable } from "./PatternsTable";

const PATTERNS: Pattern[] = [
  {
    id: "a",
    template: "connection to <*> refused",
    count: 1234,
    sparkline: [1, 5, 2],
    before_count: 0,
    first_seen: "2025-03-28T10:00:00.000000Z",
    example: "connection to 10.0.0.7 refused",
    q: 'message:"refused"',
  },
  {
    id: "b",
    template: "<script>alert(1)</script>",
    count: 10,
    sparkline: [],
    before_count: null,
    first_seen: "2025-03-28T10:00:00.000000Z",
    example: "<script>alert(1)</script>",
    q: "script",
  },
];

test("a row says the template, the events, the trend and when it was first seen, and a head orders", () => {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
  const host = document.createElement("div");
  const order = vi.fn();
  const root = createRoot(host);
  act(() =>
    root.render(
      <PatternsTable
        patterns={PATTERNS}
        ordering="count"
        order={order}
        zone="UTC"
        link={(pattern, content) => <a href={`/?q=${pattern.q}`}>{content}</a>}
      />,
    ),
  );
  const rows = [...host.querySelectorAll("tbody tr")].map((row) =>
    [...row.querySelectorAll("td")].map((cell) => cell.textContent),
  );
  expect(rows[0]).toEqual(["connection to <*> refused", "1,234", "", "▲ new", "2025-03-28 10:00"]);
  expect(rows[1]?.[0]).toBe("<script>alert(1)</script>");
  expect(host.querySelector("script")).toBeNull();
  expect(host.querySelector("a")?.getAttribute("href")).toBe('/?q=message:"refused"');

  act(() => host.querySelector<HTMLButtonElement>("[data-column=trend] button")?.click());
  expect(order).toHaveBeenCalledWith("trend");
  act(() => root.unmount());
});
