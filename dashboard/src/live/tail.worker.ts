/**
 * Follows the log off the page's thread: reads the stream, keeps the newest lines as they came, and hands over what fits
 * on the screen, at most ten times a second and never before the last was drawn and the page had time for other things.
 * So what comes in too fast costs this thread a little, and the page nothing.
 */
import { keepConnected } from "./connect";
import { Keeper } from "./keeper";
import type { FromWorker, ToWorker } from "./protocol";

const HAND_OVER_MIN_MS = 100;
const HAND_OVER_MAX_MS = 1_000;
/** Of the page's time, drawing lines takes no more than this part; the rest is for whoever types and clicks. */
const DRAWING_SHARE = 0.4;
const FIGURES_MS = 250;

const keeper = new Keeper();
let screenRows = 60;
let following = true;
let drawn = true;
let changed = false;
let handedOverMs = 0;
let handOverMs = HAND_OVER_MIN_MS;
let timer: ReturnType<typeof setTimeout> | undefined;

function post(message: FromWorker): void {
  self.postMessage(message);
}

function handOver(): void {
  timer = undefined;
  if (!following || !drawn || !changed) return;
  handedOverMs = performance.now();
  drawn = false;
  changed = false;
  post({ kind: "shown", shown: keeper.tail(screenRows), held: false });
}

/** Once for whatever changed since the last time. */
function planHandOver(): void {
  if (!following || !drawn || !changed || timer !== undefined) return;
  timer = setTimeout(handOver, Math.max(0, handedOverMs + handOverMs - performance.now()));
}

function happened(): void {
  changed = true;
  planHandOver();
}

function follow(url: string): void {
  setInterval(() => keeper.tick(), 1_000);
  setInterval(() => post({ kind: "figures", figures: keeper.figures() }), FIGURES_MS);
  void keepConnected(url, {
    connection: (connection) => post({ kind: "connection", connection }),
    gap(fromMs, untilMs) {
      keeper.gap(fromMs, untilMs);
      happened();
    },
    event(kind, data) {
      if (kind === "log") keeper.line(data);
      else if (kind === "missed") keeper.leftOut((JSON.parse(data) as { count: number }).count);
      happened();
    },
  });
}

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  switch (data.kind) {
    case "start":
      follow(data.url);
      break;
    case "screen":
      screenRows = data.rows;
      happened();
      break;
    case "drawn":
      drawn = true;
      handOverMs = Math.min(
        HAND_OVER_MAX_MS,
        Math.max(HAND_OVER_MIN_MS, (performance.now() - handedOverMs) / DRAWING_SHARE),
      );
      planHandOver();
      break;
    case "hold":
      following = false;
      post({ kind: "shown", shown: keeper.hold(data.end), held: true });
      break;
    case "follow":
      following = true;
      keeper.follow();
      happened();
      break;
    case "clear":
      keeper.clear();
      if (following) happened();
      else post({ kind: "shown", shown: keeper.hold(Number.MAX_SAFE_INTEGER), held: true });
      break;
    case "read":
      post({ kind: "event", seq: data.seq, json: keeper.read(data.seq) });
      break;
  }
  if (data.kind !== "drawn") post({ kind: "figures", figures: keeper.figures() });
};
