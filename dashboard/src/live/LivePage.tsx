import { getRouteApi } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import { QueryLine } from "../query/QueryLine";
import { useShortcuts } from "../shell/shortcuts";
import type { TimeSpan } from "../time/range";
import { useZone } from "../time/zone";
import { Empty } from "../ui/States";
import { keepRules, markersOf, type Rule, readRules } from "./highlight";
import classes from "./Live.module.css";
import { LiveBar } from "./LiveBar";
import { TailList } from "./TailList";
import type { TailClient } from "./tail-client";
import { useTailClient, useTailPart } from "./useTail";

/** Fields and values are offered from the lines of so long before the page was opened. */
const OFFERED_MS = 15 * 60_000;

const route = getRouteApi("/live");

export function LivePage() {
  const q = route.useSearch().q ?? "";
  const client = useTailClient(q);
  return <div className={classes.page}>{client && <Tail client={client} q={q} />}</div>;
}

function Tail({ client, q }: { client: TailClient; q: string }) {
  const navigate = route.useNavigate();
  const connection = useTailPart(client, "connection");
  const hold = useTailPart(client, "hold");
  const zone = useZone();
  const [wrap, setWrap] = useState(false);
  const [rules, setRules] = useState<readonly Rule[]>(readRules);
  const markers = useMemo(() => markersOf(rules), [rules]);
  const [span] = useState<TimeSpan>(() => ({ startMs: Date.now() - OFFERED_MS }));
  const problem =
    connection.state === "wrong" ? { message: connection.detail, column: connection.column } : null;

  const setQuery = useCallback(
    (asked: string) => void navigate({ search: asked === "" ? {} : { q: asked } }),
    [navigate],
  );
  const toggleWrap = () => setWrap(!wrap);
  const togglePause = () => (hold === null ? client.hold("paused") : client.follow());
  useShortcuts({ p: togglePause, w: toggleWrap });

  return (
    <>
      <div className={classes.query}>
        <QueryLine text={q} submit={setQuery} problem={problem} span={span} />
      </div>
      <LiveBar
        client={client}
        q={q}
        rules={rules}
        changeRules={(changed) => {
          setRules(changed);
          keepRules(changed);
        }}
        wrap={wrap}
        toggleWrap={toggleWrap}
        togglePause={togglePause}
      />
      <div className={classes.lines}>
        <TailList client={client} q={q} zone={zone} wrap={wrap} markers={markers} setQuery={setQuery} />
        {connection.state === "wrong" && (
          <div className={classes.nothing}>
            <Empty title="This query cannot be followed">
              Mend it above and press Enter. The mark is under what is wrong.
            </Empty>
          </div>
        )}
        {connection.state === "live" && <Waiting client={client} hasQuery={q !== ""} />}
      </div>
    </>
  );
}

function Waiting({ client, hasQuery }: { client: TailClient; hasQuery: boolean }) {
  const { first, end } = useTailPart(client, "shown");
  if (end > first) return null;
  return (
    <div className={classes.nothing}>
      <Empty title={hasQuery ? "Waiting for a line that matches" : "Waiting for the next line"}>
        New lines show here the moment they come in. Older ones are in search.
      </Empty>
    </div>
  );
}
