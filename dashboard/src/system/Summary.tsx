import { ageText, bytesText } from "./numbers";
import type { Change } from "./polls";
import classes from "./System.module.css";

/** Which server this is, and for how long it has been running. */
export function Summary({ change }: { change: Change }) {
  const { version, now } = change.now.status;
  // Counters say since when they count: that is when the process began.
  const startedS = change.value("tailrace_events_accepted_created");
  const memory = change.value("process_resident_memory_bytes");
  const uptimeS = startedS === undefined ? undefined : Date.parse(now) / 1_000 - startedS;
  return (
    <dl className={classes.summary}>
      <div>
        <dt>Version</dt>
        <dd>{version}</dd>
      </div>
      {uptimeS !== undefined && (
        <div>
          <dt>Running for</dt>
          <dd>{ageText(Math.max(0, uptimeS))}</dd>
        </div>
      )}
      {memory !== undefined && (
        <div>
          <dt>Memory</dt>
          <dd>{bytesText(memory)}</dd>
        </div>
      )}
    </dl>
  );
}
