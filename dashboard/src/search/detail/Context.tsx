import { Button, SegmentedControl } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useLayoutEffect, useRef, useState } from "react";
import { get, type LogEvent, type Schemas, url } from "../../api/client";
import { formatTime, useZone } from "../../time/zone";
import { LogText } from "../../ui/LogText";
import { levelArea, levelText } from "../../ui/levels";
import { Failure } from "../../ui/States";
import { keyOf } from "../results/event-key";
import { choices } from "./around";
import classes from "./Context.module.css";

const LINES = 10;
const STEP = 20;
/** The server's bound. */
const LINES_MAX = 1000;

interface ContextProps {
  event: LogEvent;
  openKey: string;
  open: (key: string) => void;
}

/** The lines before and after the opened one, from the same place or from everywhere. */
export function Context({ event, openKey, open }: ContextProps) {
  const offered = choices(event);
  const [same, setSame] = useState(offered[0]?.same ?? "");
  const [before, setBefore] = useState(LINES);
  const [after, setAfter] = useState(LINES);
  const asked = useQuery({
    queryKey: ["context", openKey, same, before, after],
    queryFn: ({ signal }) =>
      // An empty `same` means something here, so it must not be left out.
      get<Schemas["Context"]>(
        `${url("/api/context", { id: event.id, at: event.timestamp, before, after })}&same=${encodeURIComponent(same)}`,
        {},
        signal,
      ),
    placeholderData: keepPreviousData,
  });
  const list = useRef<HTMLDivElement>(null);
  useKeptPlace(list, asked.data);
  const around = asked.data;
  return (
    <div className={classes.context} ref={list}>
      <SegmentedControl
        size="xs"
        fullWidth
        data={offered.map((each) => ({ value: each.same, label: each.label }))}
        value={same}
        onChange={setSame}
        aria-label="Lines from where"
      />
      {asked.error && <Failure error={asked.error} retry={() => void asked.refetch()} />}
      {!around && !asked.error && <div className={classes.room} aria-busy />}
      {around && (
        <>
          <More
            label={`${STEP} more before`}
            isOver={around.before.length < before || before >= LINES_MAX}
            over="Nothing before"
            act={() => setBefore(Math.min(before + STEP, LINES_MAX))}
          />
          <ol className={classes.lines}>
            {[...around.before, around.event, ...around.after].map((each) => (
              <Line
                key={each.id}
                event={each}
                isOpen={each.id === event.id}
                hasService={same === "" || same === "host" || same === "trace_id"}
                open={open}
              />
            ))}
          </ol>
          <More
            label={`${STEP} more after`}
            isOver={around.after.length < after || after >= LINES_MAX}
            over="Nothing after yet"
            act={() => setAfter(Math.min(after + STEP, LINES_MAX))}
          />
        </>
      )}
    </div>
  );
}

function More({
  label,
  isOver,
  over,
  act,
}: {
  label: string;
  isOver: boolean;
  over: string;
  act: () => void;
}) {
  return (
    <Button variant="subtle" size="compact-xs" fullWidth disabled={isOver} onClick={act}>
      {isOver ? over : label}
    </Button>
  );
}

interface LineProps {
  event: LogEvent;
  isOpen: boolean;
  hasService: boolean;
  open: (key: string) => void;
}

function Line({ event, isOpen, hasService, open }: LineProps) {
  const zone = useZone();
  return (
    <li className={classes.line} data-open={isOpen} style={{ borderLeftColor: levelArea(event.level) }}>
      <button
        type="button"
        {...(isOpen ? { "aria-current": true } : {})}
        title={isOpen ? "The opened line" : "Open this line"}
        onClick={() => open(keyOf(event))}
      >
        <span className={classes.meta}>
          <time dateTime={event.timestamp}>{formatTime(event.timestamp, zone).slice(11)}</time>{" "}
          <b style={{ color: levelText(event.level) }}>{event.level}</b>{" "}
          {hasService && event.service !== null && <LogText text={event.service} lengthMax={60} />}
        </span>
        <span className={classes.text}>
          <LogText text={event.message} lines="many" lengthMax={400} />
        </span>
      </button>
    </li>
  );
}

/** The opened line comes into view at first; lines that come in above it later must not push it away. */
function useKeptPlace(list: { current: HTMLElement | null }, shown: unknown): void {
  const top = useRef<number>(undefined);
  // biome-ignore lint/correctness/useExhaustiveDependencies: other lines are what moves the opened one
  useLayoutEffect(() => {
    const opened = list.current?.querySelector<HTMLElement>("[data-open=true]");
    const scroller = list.current?.closest<HTMLElement>("[data-scroller]");
    if (!opened || !scroller) return;
    if (top.current === undefined) opened.scrollIntoView({ block: "center" });
    else scroller.scrollTop += opened.offsetTop - top.current;
    top.current = opened.offsetTop;
  }, [shown]);
}
