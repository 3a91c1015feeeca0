import { useEffect, useState } from "react";
import classes from "./Live.module.css";
import type { Connection } from "./protocol";
import type { Hold } from "./tail-client";

/** How it stands with the server, in a word and a colour. */
export function ConnectionState({ connection, hold }: { connection: Connection; hold: Hold }) {
  const look = connection.state === "live" && hold !== null ? "held" : connection.state;
  return (
    <span className={classes.connection} data-look={look} role="status">
      <span className={classes.dot} aria-hidden />
      {look === "live" && "Live"}
      {look === "held" && (hold === "paused" ? "Paused" : "Standing still")}
      {look === "connecting" && "Connecting"}
      {look === "wrong" && "Wrong query"}
      {connection.state === "away" && <Away detail={connection.detail} retryAtMs={connection.retryAtMs} />}
    </span>
  );
}

function Away({ detail, retryAtMs }: { detail: string; retryAtMs: number }) {
  const [nowMs, setNowMs] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const leftS = Math.max(0, Math.ceil((retryAtMs - nowMs) / 1_000));
  return (
    <span>
      {detail} <span aria-hidden>Next try in {leftS} s.</span>
    </span>
  );
}
