import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";
import { readState } from "./search-state";
import { Crashed } from "./shell/Crashed";
import { Shell } from "./shell/Shell";
import { readSqlState } from "./sql/sql-state";
import { NotFound } from "./ui/NotFound";

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const search = createRoute({
  getParentRoute: () => root,
  path: "/",
  staticData: { title: "Search" },
  validateSearch: readState,
  component: lazyRouteComponent(() => import("./search/SearchPage"), "SearchPage"),
});
const live = createRoute({
  getParentRoute: () => root,
  path: "/live",
  staticData: { title: "Live" },
  validateSearch: (raw: Record<string, unknown>): { q?: string } =>
    raw.q === undefined ? {} : { q: String(raw.q) },
  component: lazyRouteComponent(() => import("./live/LivePage"), "LivePage"),
});
const patterns = createRoute({
  getParentRoute: () => root,
  path: "/patterns",
  staticData: { title: "Patterns" },
  validateSearch: readState,
  component: lazyRouteComponent(() => import("./patterns/PatternsPage"), "PatternsPage"),
});
const sql = createRoute({
  getParentRoute: () => root,
  path: "/sql",
  staticData: { title: "SQL" },
  validateSearch: readSqlState,
  component: lazyRouteComponent(() => import("./sql/SqlPage"), "SqlPage"),
});
const saved = createRoute({
  getParentRoute: () => root,
  path: "/saved",
  staticData: { title: "Saved" },
  component: lazyRouteComponent(() => import("./saved/SavedPage"), "SavedPage"),
});
const openSaved = createRoute({
  getParentRoute: () => root,
  path: "/saved/$id",
  staticData: { title: "Saved" },
  component: lazyRouteComponent(() => import("./saved/OpenSaved"), "OpenSaved"),
});
const system = createRoute({
  getParentRoute: () => root,
  path: "/system",
  staticData: { title: "System" },
  component: lazyRouteComponent(() => import("./system/SystemPage"), "SystemPage"),
});
const start = createRoute({
  getParentRoute: () => root,
  path: "/start",
  staticData: { title: "Start" },
  component: lazyRouteComponent(() => import("./start/StartPage"), "StartPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([search, live, patterns, sql, saved, openSaved, system, start]),
  defaultPreload: "intent",
  defaultErrorComponent: Crashed,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
  interface StaticDataRouteOption {
    /** Name of the page, in the window's title and for those who hear it. */
    title?: string;
  }
}
