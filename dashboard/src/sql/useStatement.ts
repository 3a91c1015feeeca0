import { useCallback, useEffect, useRef, useState } from "react";
import { Problem, send } from "../api/client";
import { type Answer, readAnswer } from "./answer";

/** Where the last statement stands. A new run keeps the answer before it on the page until it has its own. */
export interface Statement {
  state: "idle" | "running" | "done" | "failed" | "cancelled";
  query: string;
  startedMs: number;
  /** How long it had run when it was cancelled. */
  cancelledAfterMs: number;
  answer: Answer | null;
  error: Error | null;
}

const IDLE: Statement = {
  state: "idle",
  query: "",
  startedMs: 0,
  cancelledAfterMs: 0,
  answer: null,
  error: null,
};

/** Runs one statement at a time; a new one, or leaving the page, ends the one before on the server too. */
export function useStatement() {
  const [statement, setStatement] = useState(IDLE);
  const running = useRef<AbortController | null>(null);

  const start = useCallback((query: string) => {
    running.current?.abort();
    const control = new AbortController();
    running.current = control;
    setStatement((last) => ({ ...last, state: "running", query, startedMs: Date.now(), error: null }));
    ask(query, control.signal)
      .then(
        (answer) =>
          (last: Statement): Statement => ({ ...last, state: "done", answer }),
      )
      .catch(
        (error: unknown) =>
          (last: Statement): Statement => ({
            ...last,
            state: "failed",
            answer: null,
            error: error instanceof Error ? error : new Error(String(error)),
          }),
      )
      .then((change) => {
        if (running.current === control && !control.signal.aborted) setStatement(change);
      });
  }, []);

  const cancel = useCallback(() => {
    running.current?.abort();
    setStatement((last) =>
      last.state === "running"
        ? { ...last, state: "cancelled", cancelledAfterMs: Date.now() - last.startedMs }
        : last,
    );
  }, []);

  useEffect(() => () => running.current?.abort(), []);
  return { statement, start, cancel };
}

async function ask(query: string, signal: AbortSignal): Promise<Answer> {
  const response = await post(query, "json", signal);
  return readAnswer(await response.text());
}

export type DownloadFormat = "csv" | "ndjson" | "arrow";

/** The statement's rows in a format of the server; the statement runs again for it, as files hold every row. */
export function post(query: string, format: "json" | DownloadFormat, signal: AbortSignal): Promise<Response> {
  return send("/api/sql", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query, format }),
    signal,
  });
}

export function isAway(error: Error | null): boolean {
  return error instanceof Problem && error.status === 0;
}
