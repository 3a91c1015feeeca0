import { expect, test } from "vitest";
import { keepConnected } from "./connect";
import type { Connection } from "./protocol";

const problem = (status: number, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ detail: `says ${status}`, column: 7 }), { status, headers });

/** What is told when the server gives these answers in turn; then it calls the query wrong. */
async function follow(...answers: (Response | Error)[]) {
  const states: Connection[] = [];
  const events: string[] = [];
  const gaps: [number, number][] = [];
  const slept: number[] = [];
  let nowMs = 0;
  await keepConnected(
    "/api/tail",
    {
      connection: (each) => states.push(each),
      event: (kind, data) => events.push(`${kind} ${data}`),
      gap: (fromMs, untilMs) => gaps.push([fromMs, untilMs]),
    },
    {
      fetch: async () => {
        const answer = answers.shift() ?? problem(400);
        if (answer instanceof Error) throw answer;
        return answer;
      },
      nowMs: () => nowMs,
      sleep: async (ms) => {
        slept.push(ms);
        nowMs += ms;
      },
    },
  );
  return { states: states.map((each) => each.state), last: states.at(-1), events, gaps, slept };
}

test("a wrong query ends it with the server's words and the column", async () => {
  const told = await follow();
  expect(told.states).toEqual(["connecting", "wrong"]);
  expect(told.last).toEqual({ state: "wrong", detail: "says 400", column: 7 });
});

test("a lost connection comes back, and the gap is told once it is there again", async () => {
  const told = await follow(
    new Response("event: log\ndata: 1\n\n"),
    new Error("away"),
    new Response("event: log\ndata: 2\n\n"),
  );
  expect(told.states.slice(0, 7)).toEqual([
    "connecting",
    "live",
    "away",
    "connecting",
    "away",
    "connecting",
    "live",
  ]);
  expect(told.events).toEqual(["log 1", "log 2"]);
  expect(told.gaps).toEqual([[0, 1_500]]);
});

test("a server that is away is tried less and less often, and one that names a time not before it", async () => {
  const away = () => new Error("away");
  expect((await follow(away(), away(), away(), away(), away())).slept).toEqual([
    500, 1_000, 2_000, 4_000, 5_000,
  ]);
  expect((await follow(problem(429, { "Retry-After": "10" }))).slept).toEqual([10_000]);
});
