import { bytesText, countText, rateText, secondsText } from "./numbers";
import type { Change } from "./polls";

/** What flows where, as boxes and arrows. Pure: made of two polls. */

export interface Figure {
  label: string;
  value: string;
  /** Somebody should look at it. */
  bad?: boolean;
}

export interface Box {
  id: string;
  title: string;
  /** What it is, in a few words. */
  about: string;
  figures: Figure[];
  /** How full it is, 0 to 1, where it has a bound. */
  fill?: { share: number; of: string };
  /** It is in another process: only what is shared is known of it here. */
  isElsewhere: boolean;
}

export interface Arrow {
  from: string;
  to: string;
  /** Events a second, or records where events cannot be counted; undefined: not known here. */
  perSecond: number | undefined;
}

export interface Flow {
  boxes: Box[];
  arrows: Arrow[];
  /** Names of the stores, the one that answers queries first. */
  stores: string[];
}

interface Places {
  /** This process takes logs in. */
  hasGateway: boolean;
  /** Events a second that the demo generator makes; null: it does not run here. */
  demoRate: number | null;
}

const STORE_ABOUT: Readonly<Record<string, string>> = {
  lake: "Delta Lake table",
  elasticsearch: "search engine",
  jsonl: "text files",
};

export function flowOf(change: Change, places: Places): Flow {
  const { status } = change.now;
  const groups = Object.keys(record(status.log.lag_records));
  // Only the worker of the store that answers queries also fills the newest events.
  const showing = groups.find((store) => store !== "jsonl");
  const stores = [...groups].sort((one, other) => Number(other === showing) - Number(one === showing));
  const hasWorkers = change.value("tailrace_log_lag_records") !== undefined;
  const read = (store: string) =>
    hasWorkers ? change.rate("tailrace_events_read_total", { store }) : undefined;
  const stored = (store: string) =>
    hasWorkers ? (change.rate("tailrace_events_stored_total", { store }) ?? 0) : undefined;
  const boxes = [
    gatewayBox(change, places),
    logBox(change),
    ...stores.flatMap((store) => [
      workerBox(change, store, hasWorkers, read(store)),
      storeBox(change, store, stored(store)),
    ]),
    hotBox(change),
    apiBox(change),
  ];
  const arrows: Arrow[] = [
    {
      from: "gateway",
      to: "log",
      perSecond: places.hasGateway ? change.rate("tailrace_events_accepted_total") : undefined,
    },
    ...stores.flatMap((store) => [
      { from: "log", to: `worker ${store}`, perSecond: read(store) },
      { from: `worker ${store}`, to: `store ${store}`, perSecond: stored(store) },
    ]),
  ];
  if (showing !== undefined) {
    arrows.push({ from: `worker ${showing}`, to: "hot", perSecond: read(showing) });
    arrows.push({
      from: `store ${showing}`,
      to: "api",
      perSecond: change.rate("tailrace_query_seconds_count"),
    });
  }
  arrows.push({ from: "hot", to: "api", perSecond: change.rate("tailrace_query_seconds_count") });
  if (places.demoRate !== null) {
    boxes.push(demoBox(places.demoRate));
    arrows.push({ from: "demo", to: "log", perSecond: places.demoRate });
  }
  return { boxes, arrows, stores };
}

function gatewayBox(change: Change, { hasGateway }: Places): Box {
  const box = { id: "gateway", title: "Gateway", about: "takes logs in", isElsewhere: !hasGateway };
  if (!hasGateway) return { ...box, figures: [] };
  const rejected = change.rate("tailrace_events_rejected_total");
  const refused = change.rate("tailrace_requests_refused_total") ?? 0;
  const inFlight = change.value("tailrace_ingest_bytes_in_flight");
  return {
    ...box,
    figures: [
      { label: "accepted", value: rateText(change.rate("tailrace_events_accepted_total")) },
      { label: "received", value: `${bytesText(change.rate("tailrace_bytes_received_total"))}/s` },
      { label: "rejected lines", value: rateText(rejected), bad: (rejected ?? 0) > 0 },
      { label: "refused", value: rateText(refused), bad: refused > 0 },
      { label: "to durable", value: secondsText(change.mean("tailrace_append_seconds")) },
    ],
    ...fillOf(inFlight, setting(change, "ingest", "body_bytes_in_flight_max"), "of the room for bodies"),
  };
}

function logBox(change: Change): Box {
  const { log } = change.now.status;
  const bytes = number(log.bytes);
  const bytesMax = number(log.bytes_max);
  const isKafka = bytesMax === 0;
  return {
    id: "log",
    title: "Log",
    about: isKafka ? "Kafka" : "SQLite",
    isElsewhere: false,
    figures: [
      { label: "records", value: countText(number(log.records)) },
      ...(isKafka
        ? []
        : [
            { label: "appends", value: rateText(change.rate("tailrace_log_commit_records_sum")) },
            { label: "a commit", value: secondsText(change.mean("tailrace_log_commit_seconds")) },
            { label: "holds", value: bytesText(bytes) },
          ]),
    ],
    ...fillOf(bytes, bytesMax, "of log.backlog_bytes_max"),
  };
}

function workerBox(change: Change, store: string, isHere: boolean, read: number | undefined): Box {
  const { log } = change.now.status;
  const records = number(record(log.lag_records)[store]);
  const events = number(record(log.lag_rows)[store]);
  const lag = events === undefined ? `${countText(records)} records` : `${countText(events)} events`;
  const retries = change.rate("tailrace_retries_total", { place: store }) ?? 0;
  return {
    id: `worker ${store}`,
    title: "Worker",
    about: `log to ${store}`,
    isElsewhere: !isHere,
    figures: [
      { label: "lag", value: lag },
      ...(isHere
        ? [
            { label: "read", value: rateText(read) },
            { label: "a flush", value: secondsText(change.mean("tailrace_flush_seconds", { store })) },
            { label: "retries", value: rateText(retries), bad: retries > 0 },
          ]
        : []),
    ],
  };
}

function storeBox(change: Change, store: string, stored: number | undefined): Box {
  const figures = record(change.now.status.stores[store]);
  const size = number(figures.bytes);
  const rows = number(figures.rows ?? figures.documents);
  const damaged = store === "lake" ? (change.value("tailrace_lake_damaged_files") ?? 0) : 0;
  return {
    id: `store ${store}`,
    title: store === "jsonl" ? "logs.txt" : store.replace(/^./, (letter) => letter.toUpperCase()),
    about: STORE_ABOUT[store] ?? "store",
    isElsewhere: false,
    figures: [
      ...(stored === undefined ? [] : [{ label: "stored", value: rateText(stored) }]),
      ...(rows === undefined ? [] : [{ label: "events", value: countText(rows) }]),
      ...(size === undefined ? [] : [{ label: "size", value: bytesText(size) }]),
      ...(damaged > 0 ? [{ label: "damaged files", value: countText(damaged), bad: true }] : []),
    ],
  };
}

function hotBox(change: Change): Box {
  const isShared = !String(record(change.now.status.settings.hot).url ?? "").startsWith("memory");
  const skipped = change.rate("tailrace_hot_events_skipped_total") ?? 0;
  const bytes = change.value("tailrace_hot_bytes");
  return {
    id: "hot",
    title: "Newest events",
    about: isShared ? "Redis" : "in memory",
    isElsewhere: false,
    figures: [
      { label: "holds", value: bytesText(bytes) },
      ...(isShared ? [{ label: "left out", value: rateText(skipped), bad: skipped > 0 }] : []),
    ],
    ...fillOf(bytes, setting(change, "hot", "bytes_max"), "of hot.bytes_max"),
  };
}

function apiBox(change: Change): Box {
  const refused = change.rate("tailrace_queries_refused_total") ?? 0;
  return {
    id: "api",
    title: "API",
    about: "answers, and this page",
    isElsewhere: false,
    figures: [
      { label: "queries", value: rateText(change.rate("tailrace_query_seconds_count")) },
      { label: "a query", value: secondsText(change.mean("tailrace_query_seconds")) },
      { label: "live tails", value: countText(change.value("tailrace_tails")) },
      { label: "refused", value: rateText(refused), bad: refused > 0 },
    ],
  };
}

function demoBox(perSecond: number): Box {
  return {
    id: "demo",
    title: "Demo",
    about: "makes events, past the gateway",
    isElsewhere: false,
    figures: [{ label: "makes", value: rateText(perSecond) }],
  };
}

function fillOf(bytes: number | undefined, bytesMax: number | undefined, of: string): Pick<Box, "fill"> {
  return bytes === undefined || !bytesMax ? {} : { fill: { share: Math.min(1, bytes / bytesMax), of } };
}

function setting(change: Change, group: string, name: string): number | undefined {
  return number(record(change.now.status.settings[group])[name]);
}

/** Figures are as the server's parts give them: nothing is certain of them. */
export function number(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
