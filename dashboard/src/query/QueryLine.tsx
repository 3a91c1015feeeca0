import { ActionIcon, Menu, Tooltip } from "@mantine/core";
import { IconHistory, IconX } from "@tabler/icons-react";
import { type KeyboardEvent, useCallback, useEffect, useId, useRef, useState } from "react";
import { useShortcuts } from "../shell/shortcuts";
import type { TimeSpan } from "../time/range";
import { placeOfColumn } from "./column";
import { forgetHistory, readHistory, recall, remember } from "./history";
import type { EditorHandle, QueryEditor, QueryEditorProps } from "./QueryEditor";
import classes from "./QueryLine.module.css";
import { useLookup } from "./useLookup";

interface QueryLineProps {
  /** The query that is in force; the line shows it whenever it changes. */
  text: string;
  submit(query: string): void;
  /** Told of each change of the text, entered or not. */
  changed?: (query: string) => void;
  /** What the server says is wrong with `text`; the column counts from 1. */
  problem?: { message: string; column: number | null } | null;
  /** Completion offers what is in this span; its identity should hold for as long as the span is the same. */
  span: TimeSpan;
}

const HINT = 'Search: words, "a phrase", level:ERROR, latency_ms:>250';

/**
 * Where a query is written. It works at once as a plain line; the editor that highlights and completes comes with the first
 * use of it, and takes the text, the cursor and the focus over.
 */
export function QueryLine({ text, submit, changed, problem, span }: QueryLineProps) {
  const [draft, setDraft] = useState(text);
  const [Editor, setEditor] = useState<typeof QueryEditor | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const composing = useRef(false);
  const left = useRef<Pick<QueryEditorProps, "selection" | "focused">>({
    selection: { anchor: 0, head: 0 },
    focused: false,
  });
  const handle = useRef<EditorHandle | null>(null);
  const messageId = useId();
  const lookup = useLookup(span);
  const isWrong = problem != null && draft === text;

  useEffect(() => setDraft(text), [text]);
  useShortcuts({ "/": () => (handle.current ?? input.current)?.focus() });

  const load = useCallback(() => {
    import("./QueryEditor").then(
      (module) => {
        const line = input.current;
        if (composing.current || line === null) return; // the next key tries again
        left.current = placeIn(line);
        setEditor(() => module.QueryEditor);
      },
      () => undefined, // the plain line goes on
    );
  }, []);
  // A query that stands there from the beginning is highlighted when the page has nothing more urgent to do.
  useEffect(() => {
    if (text === "") return;
    const idle = window.requestIdleCallback?.(load, { timeout: 3000 });
    return () => {
      if (idle !== undefined) window.cancelIdleCallback(idle);
    };
  }, [text, load]);

  function change(next: string) {
    setDraft(next);
    changed?.(next);
  }

  function enter(query: string) {
    const trimmed = query.trim();
    remember(trimmed);
    setDraft(trimmed);
    submit(trimmed);
  }

  function pressed(event: KeyboardEvent<HTMLInputElement>) {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter") enter(draft);
    const direction = { ArrowUp: "older", ArrowDown: "newer" }[event.key] as "older" | "newer" | undefined;
    const recalled = direction && recall(readHistory(), draft, direction);
    if (recalled === undefined || recalled === null) return;
    event.preventDefault();
    change(recalled);
  }

  return (
    <div className={classes.line}>
      <search className={classes.box} data-wrong={isWrong}>
        <HistoryMenu choose={enter} />
        {Editor === null ? (
          <input
            ref={input}
            className={classes.plain}
            value={draft}
            placeholder={HINT}
            aria-label="Query"
            aria-invalid={isWrong}
            aria-describedby={isWrong ? messageId : undefined}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            enterKeyHint="search"
            onChange={(event) => {
              // The editor may be on its way, and goes on from here.
              left.current = placeIn(event.currentTarget);
              change(event.currentTarget.value);
            }}
            onKeyDown={pressed}
            onFocus={load}
            onPointerEnter={load}
            onCompositionStart={() => {
              composing.current = true;
            }}
            onCompositionEnd={() => {
              composing.current = false;
              load();
            }}
          />
        ) : (
          <Editor
            text={draft}
            {...left.current}
            problemAt={isWrong ? placeOfColumn(text, problem.column) : null}
            describedBy={isWrong ? messageId : undefined}
            hint={HINT}
            lookup={lookup}
            submit={enter}
            changed={change}
            handle={handle}
          />
        )}
        {draft !== "" && (
          <Tooltip label="Clear the query">
            <ActionIcon variant="subtle" color="gray" aria-label="Clear the query" onClick={() => enter("")}>
              <IconX size={16} stroke={1.7} />
            </ActionIcon>
          </Tooltip>
        )}
      </search>
      {isWrong && (
        <div id={messageId} className={classes.problem} role="alert">
          {problem.message}
        </div>
      )}
    </div>
  );
}

/** Where the cursor is in the plain line, and whether keys go there. */
function placeIn(line: HTMLInputElement): Pick<QueryEditorProps, "selection" | "focused"> {
  const end = line.value.length;
  return {
    selection: { anchor: line.selectionStart ?? end, head: line.selectionEnd ?? end },
    focused: document.activeElement === line,
  };
}

/** Queries of before, newest first; choosing one searches for it. */
function HistoryMenu({ choose }: { choose: (query: string) => void }) {
  const [entries, setEntries] = useState<string[]>([]);
  return (
    <Menu position="bottom-start" shadow="md" onOpen={() => setEntries(readHistory())} withinPortal>
      <Menu.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label="Queries of before"
          title="Queries of before (↑)"
        >
          <IconHistory size={17} stroke={1.7} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown className={classes.history}>
        {entries.length === 0 && (
          <Menu.Item>Nothing yet. What you search for is kept here, in this browser.</Menu.Item>
        )}
        {entries.map((each) => (
          <Menu.Item key={each} className={classes.before} onClick={() => choose(each)}>
            {each}
          </Menu.Item>
        ))}
        {entries.length > 0 && <Menu.Divider />}
        {entries.length > 0 && <Menu.Item onClick={forgetHistory}>Forget all</Menu.Item>}
      </Menu.Dropdown>
    </Menu>
  );
}
