// @vitest-environment happy-dom
import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  RouterProvider,
} from "@tanstack/react-router";
import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { readState } from "../search-state";
import { type Search, useSearchState } from "./useSearchState";

let search: Search;
let mounted: Root | null = null;

function Probe() {
  search = useSearchState();
  return null;
}

async function open(address: string) {
  const root = createRootRoute();
  const page = createRoute({
    getParentRoute: () => root,
    path: "/",
    validateSearch: readState,
    component: Probe,
  });
  const router = createRouter({
    routeTree: root.addChildren([page]),
    history: createMemoryHistory({ initialEntries: [address] }),
  });
  mounted = createRoot(document.createElement("div"));
  await act(async () => mounted?.render(<RouterProvider router={router as never} />));
  await settled();
  return router;
}

/** Does something and waits until the page has followed. */
async function settled(action = () => {}) {
  await act(async () => {
    action();
    await new Promise((resolve) => setTimeout(resolve, 20));
  });
}

beforeEach(() => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  vi.stubGlobal("scrollTo", () => undefined);
});
afterEach(async () => {
  await act(async () => mounted?.unmount());
  vi.unstubAllGlobals();
});

it("the address's words are resolved once for a run", async () => {
  await open("/?q=level%3AERROR&start=1h");
  const { span, startedMs, q } = search.run;
  expect(q).toBe("level:ERROR");
  expect(span).toEqual({ startMs: startedMs - 3_600_000, endMs: startedMs });
});

it("a filter goes into the address and starts a run", async () => {
  const router = await open("/?q=card");
  const before = search.run;
  await settled(() => search.actions.filter("service", "pay gate", "for"));
  expect(search.run).not.toBe(before);
  expect(search.run.q).toBe('card AND service:"pay gate"');
  expect(router.state.location.search).toEqual({ q: 'card AND service:"pay gate"' });
});

it("looks keep the run", async () => {
  await open("/");
  const before = search.run;
  await settled(() => search.actions.change({ wrap: true, columns: ["message"] }));
  expect(search.state.wrap).toBe(true);
  expect(search.run).toBe(before);
});

it("a new time takes along what is typed and not searched for yet", async () => {
  await open("/");
  search.draft.current = " declined ";
  await settled(() => search.actions.change({ start: "1h", end: "" }));
  expect(search.run.q).toBe("declined");
});

it("the same words again are a new run up to now", async () => {
  await open("/");
  const before = search.run;
  await settled(() => search.actions.again());
  expect(search.run).not.toBe(before);
  expect(search.run.span.endMs).toBeGreaterThan(before.span.endMs ?? 0);
});

it("zooms are left one by one, and the browser's own way back agrees", async () => {
  const router = await open("/");
  const [first, second] = [
    { start: "2025-03-28T10:00:00Z", end: "2025-03-28T11:00:00Z" },
    { start: "2025-03-28T10:10:00Z", end: "2025-03-28T10:20:00Z" },
  ];
  await settled(() => search.zoom(first));
  await settled(() => search.zoom(second));
  expect(search.state).toMatchObject(second);
  await settled(() => router.history.back());
  expect(search.state).toMatchObject(first);
  await settled(() => search.unzoom?.());
  expect(search.state).toMatchObject({ start: "15m", end: "" });
  expect(search.unzoom).toBeNull();
});

it("all time has no bounds", async () => {
  await open("/?start=");
  expect(search.run.span).toEqual({});
  expect(search.isTimeWrong).toBe(false);
});

it("a time that is none is told, and the usual one taken", async () => {
  await open("/?start=foo");
  expect(search.isTimeWrong).toBe(true);
  expect(search.run.span.startMs).toBe(search.run.startedMs - 900_000);
});
