import { Button } from "@mantine/core";
import { IconPlayerPlayFilled, IconPlayerStopFilled } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { get, type Schemas } from "../api/client";
import { SaveButton } from "../saved/SaveButton";
import { useBackAgain } from "../shell/useServer";
import { Editor, type EditorHandle } from "./editor/Editor";
import { COLUMNS } from "./editor/words";
import { duration } from "./figures";
import { readHistory, remember } from "./history";
import { Outcome, placeOf } from "./Outcome";
import { SchemaPanel } from "./SchemaPanel";
import classes from "./SqlPage.module.css";
import { ExampleMenu, HistoryMenu } from "./StatementMenus";
import type { SqlState } from "./sql-state";
import { isAway, type Statement, useStatement } from "./useStatement";

export function SqlPage() {
  const state = useSearch({ from: "/sql" });
  const navigate = useNavigate({ from: "/sql" });
  const [text, setText] = useState(state.query ?? "");
  const [history, setHistory] = useState(readHistory);
  const { statement, start, cancel } = useStatement();
  const attributes = useAttributes();
  const editor = useRef<EditorHandle>(null);
  const asked = useRef("");

  function run(query: string) {
    if (query.trim() === "") {
      editor.current?.focus();
      return;
    }
    asked.current = query;
    setText(query);
    setHistory(remember(query));
    start(query);
    // The columns that a chart was made of belong to the statement before.
    if (query !== state.query) {
      void navigate({ search: ({ view }) => ({ query, ...(view ? { view } : {}) }) });
    }
  }
  const change = (part: Partial<SqlState>) =>
    void navigate({ search: (before) => ({ ...before, ...part }), replace: true });

  // A link, a saved statement, and the browser's back and forward bring a statement that is not the one that ran last.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another address starts it
  useEffect(() => {
    if (state.query === undefined || state.query === asked.current) return;
    run(state.query);
  }, [state.query]);

  // Leaving ends what runs, so whoever comes back to the same statement is to see it run again.
  useEffect(
    () => () => {
      asked.current = "";
    },
    [],
  );

  useBackAgain(() => {
    if (isAway(statement.error)) start(statement.query);
  });

  const isRunning = statement.state === "running";
  const wrong = useMemo(() => placeOf(statement), [statement]);
  return (
    <div className={classes.page}>
      <div className={classes.main}>
        <h1 className={classes.title}>SQL</h1>
        <div className={classes.head}>
          <Editor
            ref={editor}
            value={text}
            changed={setText}
            run={() => run(text)}
            wrong={text === statement.query ? wrong : null}
            attributes={attributes}
          />
          <div className={classes.tools}>
            {isRunning ? (
              <Button
                size="xs"
                className={classes.run ?? ""}
                variant="default"
                leftSection={<IconPlayerStopFilled size={14} className={classes.stop ?? ""} />}
                onClick={cancel}
              >
                Cancel
              </Button>
            ) : (
              <Button
                size="xs"
                className={classes.run ?? ""}
                leftSection={<IconPlayerPlayFilled size={14} />}
                onClick={() => run(text)}
              >
                Run
              </Button>
            )}
            <span className={classes.clock}>
              {isRunning ? <Clock startedMs={statement.startedMs} /> : <Beside statement={statement} />}
            </span>
            <div className={classes.choices}>
              <ExampleMenu choose={run} />
              <HistoryMenu
                history={history}
                choose={(past) => {
                  setText(past);
                  editor.current?.focus();
                }}
              />
              <SaveButton kind="sql" state={{ ...state, query: text }} disabled={text.trim() === ""} />
            </div>
          </div>
        </div>
        <div className={classes.result} data-stale={isRunning || undefined} aria-busy={isRunning}>
          <Outcome statement={statement} run={run} state={state} change={change} />
        </div>
      </div>
      <SchemaPanel attributes={attributes} insert={(word) => editor.current?.insert(word)} />
    </div>
  );
}

/** What stands beside the button that runs while nothing does. */
function Beside({ statement }: { statement: Statement }) {
  if (statement.state === "cancelled") {
    return <span role="status">Cancelled after {duration(statement.cancelledAfterMs / 1000)}</span>;
  }
  return <span className={classes.hint}>{MODIFIER}+Enter runs</span>;
}

const MODIFIER = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘" : "Ctrl";

function Clock({ startedMs }: { startedMs: number }) {
  const [nowMs, setNowMs] = useState(startedMs);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 100);
    return () => clearInterval(timer);
  }, []);
  return <span role="timer">{duration(Math.max(0, nowMs - startedMs) / 1000)}</span>;
}

const OWN: ReadonlySet<string> = new Set(COLUMNS.map((each) => each.name));

/** Names of the attributes that events of the last day have, the most frequent first. */
function useAttributes(): readonly string[] {
  const asked = useQuery({
    queryKey: ["fields", "sql"],
    queryFn: ({ signal }) => get<Schemas["Fields"]>("/api/fields", { start: "1d" }, signal),
    staleTime: 10 * 60_000,
  });
  return useMemo(
    () => asked.data?.fields.map((each) => each.name).filter((name) => !OWN.has(name)) ?? [],
    [asked.data],
  );
}
