import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { readState } from "./search-state";
import { Shell } from "./shell/Shell";
import { NotFound } from "./ui/NotFound";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const search = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: readState,
  component: lazyRouteComponent(() => import("./search/SearchPage"), "SearchPage"),
});
const live = createRoute({
  getParentRoute: () => root,
  path: "/live",
  validateSearch: (raw: Record<string, unknown>): { q?: string } =>
    raw.q === undefined ? {} : { q: String(raw.q) },
  component: lazyRouteComponent(() => import("./live/LivePage"), "LivePage"),
});
const patterns = createRoute({
  getParentRoute: () => root,
  path: "/patterns",
  validateSearch: readState,
  component: lazyRouteComponent(() => import("./patterns/PatternsPage"), "PatternsPage"),
});
const sql = createRoute({
  getParentRoute: () => root,
  path: "/sql",
  validateSearch: (raw: Record<string, unknown>): { query?: string } =>
    raw.query === undefined ? {} : { query: String(raw.query) },
  component: lazyRouteComponent(() => import("./sql/SqlPage"), "SqlPage"),
});
const saved = createRoute({
  getParentRoute: () => root,
  path: "/saved",
  component: lazyRouteComponent(() => import("./saved/SavedPage"), "SavedPage"),
});
const system = createRoute({
  getParentRoute: () => root,
  path: "/system",
  component: lazyRouteComponent(() => import("./system/SystemPage"), "SystemPage"),
});
const start = createRoute({
  getParentRoute: () => root,
  path: "/start",
  component: lazyRouteComponent(() => import("./start/StartPage"), "StartPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([search, live, patterns, sql, saved, system, start]),
  defaultPreload: "intent",
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
