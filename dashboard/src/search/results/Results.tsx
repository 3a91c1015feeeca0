import { Button, Text } from "@mantine/core";
import { useElementSize, useMergedRef } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { Problem } from "../../api/client";
import type { SearchState } from "../../search-state";
import { useShortcuts } from "../../shell/shortcuts";
import { Empty, Failure } from "../../ui/States";
import { Detail, type DetailTab } from "../detail/Detail";
import { eventQueryKey } from "../detail/useEvent";
import type { Run, SearchActions } from "../run";
import { keyOf } from "./event-key";
import { NoLines } from "./NoLines";
import type { EventPages } from "./pages";
import classes from "./Results.module.css";
import { SeenRows } from "./seen";
import { Table } from "./Table";
import { Toolbar } from "./Toolbar";
import { useNewer, useTotal } from "./useCounts";
import { useEventPages } from "./useEventPages";
import { useLooks } from "./useLooks";

/** Below it, fields and message of a line stand under each other. */
const NARROW_PX = 640;
/** Below it, the opened line covers the table instead of standing beside it. */
const BESIDE_MIN_PX = 880;

interface ResultsProps {
  run: Run;
  state: SearchState;
  actions: SearchActions;
}

/** The events of a search: the table, and beside it the one that is opened. */
export function Results({ run, state, actions }: ResultsProps) {
  const { pages, run: shownRun, isOld } = useEventPages(run);
  const looks = useLooks();
  const queries = useQueryClient();
  const list = useElementSize();
  const root = useElementSize();
  const rootElement = useRef<HTMLDivElement>(null);
  const rootRef = useMergedRef(root.ref, rootElement);
  const [current, setCurrent] = useState(-1);
  const [tab, setTab] = useState<DetailTab>("fields");
  const [seen] = useState(() => new SeenRows());
  const total = useTotal(run, state.by);
  const newer = useNewer(shownRun, pages, state.end === "");

  useCurrentOfPages(pages, state.open, setCurrent);

  const open = useCallback(
    (row: number) => {
      const event = pages?.event(row);
      if (!event) return;
      queries.setQueryData(eventQueryKey(keyOf(event)), event);
      actions.change({ open: keyOf(event) });
    },
    [pages, queries, actions],
  );
  const close = useCallback(() => actions.change({ open: "" }), [actions]);
  const grid = () => rootElement.current?.querySelector<HTMLElement>("[role=grid]") ?? null;
  /** Keys move the row; an opened line goes along. */
  const go = (row: number) => {
    if (!pages || row < 0 || row >= pages.rows) return;
    setCurrent(row);
    if (state.open !== "") open(row);
  };
  const toggle = (row: number) => {
    setCurrent(row);
    const event = pages?.event(row);
    if (event && keyOf(event) === state.open) close();
    else open(row);
  };
  const step = (rows: number) => {
    grid()?.focus({ preventScroll: true });
    go(Math.max(current + rows, 0));
  };
  useShortcuts({
    j: () => step(1),
    k: () => step(-1),
    w: () => actions.change({ wrap: !state.wrap }),
    c: () => {
      setTab("context");
      if (state.open === "") open(Math.max(current, 0));
    },
  });
  useEscape(state.open !== "", () => {
    close();
    grid()?.focus({ preventScroll: true });
  });

  const isBeside = root.width === 0 || root.width >= BESIDE_MIN_PX;
  return (
    <div ref={rootRef} className={classes.results}>
      <div ref={list.ref} className={classes.list}>
        <Toolbar
          state={state}
          actions={actions}
          looks={looks}
          seen={seen}
          total={isOld ? undefined : total}
          newer={newer}
        />
        <div className={classes.stage}>
          <Table
            pages={pages}
            run={shownRun}
            state={state}
            actions={actions}
            looks={looks}
            isNarrow={list.width > 0 && list.width < NARROW_PX}
            isOld={isOld}
            current={current}
            go={go}
            toggle={toggle}
            seen={seen.set}
          />
          <State pages={pages} run={shownRun} actions={actions} />
        </div>
      </div>
      {state.open !== "" && (
        <Detail
          openKey={state.open}
          run={run}
          state={state}
          actions={actions}
          tab={tab}
          setTab={setTab}
          isBeside={isBeside}
          close={close}
          step={pages && current >= 0 ? step : undefined}
        />
      )}
    </div>
  );
}

/** Escape anywhere on the page, but where it has a nearer meaning: in a field that is typed in, a menu, a dialog. */
function useEscape(isBound: boolean, act: () => void): void {
  const bound = useRef(act);
  bound.current = act;
  useEffect(() => {
    if (!isBound) return;
    function pressed(event: KeyboardEvent) {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      const nearer = "[role=dialog], [role=menu], [role=listbox], input, textarea, [contenteditable=true]";
      if (event.target instanceof Element && event.target.closest(nearer)) return;
      bound.current();
    }
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [isBound]);
}

/** Other events: no row is current, but the one that the address says is open. */
function useCurrentOfPages(
  pages: EventPages | undefined,
  open: string,
  setCurrent: (row: number) => void,
): void {
  const opened = useRef(open);
  opened.current = open;
  useEffect(() => {
    let found = -1;
    for (let row = 0; pages && opened.current !== "" && row < pages.rows && found < 0; row++) {
      const event = pages.event(row);
      if (event && keyOf(event) === opened.current) found = row;
    }
    setCurrent(found);
  }, [pages, setCurrent]);
}

/** What lies over the table when there are no rows, or below it when reading further failed. */
function State({ pages, run, actions }: { pages: EventPages | undefined; run: Run; actions: SearchActions }) {
  if (!pages) return null;
  const { error } = pages;
  if (error && pages.rows > 0) {
    return (
      <div className={classes.broken} role="alert">
        <Text size="sm">Some lines could not be read: {error.message}</Text>
        <Button size="compact-sm" variant="default" onClick={() => pages.retry()}>
          Try again
        </Button>
      </div>
    );
  }
  if (error) {
    return (
      <div className={classes.state}>
        {error instanceof Problem && error.column !== null ? (
          <Empty title="The query cannot be read">
            <Text size="sm">Mend it in the line above, then press Enter.</Text>
          </Empty>
        ) : (
          <Failure error={error} retry={() => pages.retry()} />
        )}
      </div>
    );
  }
  if (pages.begun && pages.rows === 0) {
    return (
      <div className={classes.state}>
        <NoLines run={run} actions={actions} />
      </div>
    );
  }
  return null;
}
