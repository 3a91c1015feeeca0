import { EventStream } from "./event-stream";
import type { Connection } from "./protocol";

export interface Listener {
  connection(connection: Connection): void;
  event(kind: string, data: string): void;
  /** The connection is back after it was lost. */
  gap(fromMs: number, untilMs: number): void;
}

/** What a test puts in the place of the world. */
export interface World {
  fetch: typeof fetch;
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

const WORLD: World = {
  fetch: (...given) => fetch(...given),
  nowMs: () => Date.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 5_000;
/** The server says something every 15 s; a connection that is silent for longer is dead, whatever the network thinks. */
const SILENCE_MAX_MS = 40_000;

/** Follows `url` until the server calls the query wrong; comes back by itself when the connection is lost. */
export async function keepConnected(url: string, listener: Listener, world: World = WORLD): Promise<void> {
  let lostMs: number | null = null;
  let failures = 0;
  for (;;) {
    listener.connection({ state: "connecting" });
    let detail = "The connection was lost.";
    let waitMs = 0;
    const stop = new AbortController();
    try {
      const response = await world.fetch(url, {
        signal: stop.signal,
        headers: { Accept: "text/event-stream" },
      });
      if (response.ok && response.body) {
        if (lostMs !== null) listener.gap(lostMs, world.nowMs());
        failures = 0;
        listener.connection({ state: "live" });
        try {
          await readAll(response.body, listener, stop, world);
        } finally {
          lostMs = world.nowMs();
        }
      } else {
        const problem = await problemOf(response);
        if (response.status < 500 && response.status !== 429) {
          listener.connection({ state: "wrong", ...problem });
          return;
        }
        detail = problem.detail;
        waitMs = 1_000 * (Number(response.headers.get("Retry-After")) || 0);
      }
    } catch {
      // Lost, or not there at all: it is tried again.
    }
    waitMs = Math.max(waitMs, Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** failures));
    failures++;
    listener.connection({ state: "away", detail, retryAtMs: world.nowMs() + waitMs });
    await world.sleep(waitMs);
  }
}

async function readAll(
  body: ReadableStream<Uint8Array>,
  listener: Listener,
  stop: AbortController,
  world: World,
): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const stream = new EventStream();
  const told = (kind: string, data: string) => listener.event(kind, data);
  let heardMs = world.nowMs();
  const watch = setInterval(() => {
    if (world.nowMs() - heardMs > SILENCE_MAX_MS) stop.abort();
  }, SILENCE_MAX_MS / 4);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heardMs = world.nowMs();
      stream.push(decoder.decode(value, { stream: true }), told);
    }
  } finally {
    clearInterval(watch);
  }
}

async function problemOf(response: Response): Promise<{ detail: string; column: number | null }> {
  try {
    const problem = (await response.json()) as { detail: string; column?: number | null };
    return { detail: problem.detail, column: problem.column ?? null };
  } catch {
    return { detail: `The server answers ${response.status} ${response.statusText}.`, column: null };
  }
}
