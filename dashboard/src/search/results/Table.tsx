// biome-ignore-all lint/a11y/useSemanticElements: a table of a million rows shows a few of them, placed by hand, which <table> cannot
import { useVirtualizer } from "@tanstack/react-virtual";
import {
  type CSSProperties,
  type KeyboardEvent,
  type MouseEvent,
  type PointerEvent,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import type { SearchState } from "../../search-state";
import { useZone } from "../../time/zone";
import type { Run, SearchActions } from "../run";
import { tableWidth, template } from "./columns";
import { keyOf } from "./event-key";
import { Header } from "./Header";
import { highlights } from "./highlight";
import type { EventPages } from "./pages";
import { Row, rowId } from "./Row";
import classes from "./Table.module.css";
import { rowHeight, type useLooks } from "./useLooks";

export const HEADER_PX = 32;
/** Rows read ahead of the ones on screen, so that scrolling on meets no grey ones. */
const AHEAD_ROWS = 150;
/** Grey rows behind the last that was read, while there are more. */
const COMING_ROWS = 20;
const WANT_INTERVAL_MS = 50;

interface TableProps {
  pages: EventPages | undefined;
  run: Run;
  state: SearchState;
  actions: SearchActions;
  looks: ReturnType<typeof useLooks>;
  isNarrow: boolean;
  isOld: boolean;
  /** The row that keys act on; -1 for none. */
  current: number;
  /** Goes to a row; `bySteps` where keys asked for it. */
  go: (row: number) => void;
  /** Opens a row, or closes it when it is open. */
  toggle: (row: number) => void;
  /** Told which rows are on screen. */
  seen: (first: number, last: number) => void;
}

export function Table(props: TableProps) {
  const { pages, run, state, actions, looks, isNarrow, current } = props;
  const zone = useZone();
  const scroller = useRef<HTMLDivElement>(null);
  const [hovered, setHovered] = useState<{ row: number; column: string }>();
  const patterns = useMemo(() => highlights(run.q), [run.q]);
  const height = rowHeight(looks.density, isNarrow);
  const rows = pages?.rows ?? 0;
  const count = rows + (pages === undefined || pages.hasMore ? COMING_ROWS : 0);

  const rowsOnScreen = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 12,
    // The header lies over the first rows' room: rows end so much below where the virtualiser thinks.
    scrollPaddingEnd: HEADER_PX,
  });
  const items = rowsOnScreen.getVirtualItems();
  // Rows that leave on one side come in again on the other: changing their text is cheaper than making new ones.
  const pool = useRef(0);
  pool.current = Math.max(pool.current, items.length);
  const first = rowsOnScreen.range?.startIndex ?? 0;
  const last = rowsOnScreen.range?.endIndex ?? 0;
  useWanted(pages, first, last);

  const { seen } = props;
  useEffect(() => seen(first, Math.min(last, rows - 1)), [seen, first, last, rows]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: heights that were measured hold for these looks only
  useLayoutEffect(() => rowsOnScreen.measure(), [state.wrap, state.columns, looks.widths]);
  const heightBefore = useRef(height);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another height moves rows
  useLayoutEffect(() => {
    if (heightBefore.current === height) return;
    // The row that is looked at stays where it is while all others move.
    const looked = current >= first && current <= last ? current : first;
    const offset = (scroller.current?.scrollTop ?? 0) + looked * (height - heightBefore.current);
    heightBefore.current = height;
    rowsOnScreen.measure();
    rowsOnScreen.scrollToOffset(Math.max(0, offset));
  }, [height]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: other events begin at the top
  useLayoutEffect(() => rowsOnScreen.scrollToOffset(0), [pages]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only going to another row scrolls
  useLayoutEffect(() => {
    if (current >= 0) rowsOnScreen.scrollToIndex(current, { align: "auto" });
  }, [current]);

  const pageRows = Math.max(1, last - first - 1);
  function pressed(event: KeyboardEvent) {
    if (event.target !== event.currentTarget || event.altKey || event.ctrlKey || event.metaKey) return;
    const steps: Record<string, number> = {
      ArrowDown: current + 1,
      ArrowUp: current - 1,
      PageDown: current + pageRows,
      PageUp: current - pageRows,
      Home: 0,
      End: rows - 1,
    };
    const to = steps[event.key];
    if (to !== undefined) props.go(Math.min(Math.max(to, 0), rows - 1));
    else if (event.key === "Enter") props.toggle(Math.max(current, 0));
    else return;
    event.preventDefault();
  }

  function clicked(event: MouseEvent) {
    // Text that was selected is to be copied, not opened.
    if (window.getSelection()?.isCollapsed === false) return;
    const row = rowOf(event.target);
    if (row !== undefined && pages?.event(row)) props.toggle(row);
  }

  function pointed(event: PointerEvent) {
    if (event.pointerType === "touch" || !(event.target instanceof Element)) return;
    const row = rowOf(event.target);
    const column = event.target.closest<HTMLElement>("[data-column]")?.dataset.column;
    if (row === undefined || column === undefined) setHovered(undefined);
    else if (hovered?.row !== row || hovered.column !== column) setHovered({ row, column });
  }

  const style: CSSProperties & Record<`--${string}`, string> = {
    "--columns": template(state.columns, looks.widths),
    "--table-width": `${tableWidth(state.columns, looks.widths)}px`,
    "--row-height": `${height}px`,
    "--header-height": `${HEADER_PX}px`,
  };
  return (
    <div
      ref={scroller}
      role="grid"
      aria-label="Log lines"
      aria-rowcount={pages === undefined || pages.hasMore ? -1 : rows + 1}
      aria-readonly
      aria-busy={pages === undefined || props.isOld}
      {...(current >= 0 && items.some((item) => item.index === current)
        ? { "aria-activedescendant": rowId(current) }
        : {})}
      tabIndex={0}
      className={classes.scroller}
      data-narrow={isNarrow}
      data-wrap={state.wrap}
      data-old={props.isOld}
      data-density={looks.density}
      style={style}
      onKeyDown={pressed}
    >
      <div role="rowgroup" className={classes.head}>
        <Header
          run={run}
          state={state}
          actions={actions}
          zone={zone}
          widths={looks.widths}
          resize={looks.resize}
        />
      </div>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the grid around it takes the keys */}
      <div
        role="rowgroup"
        className={classes.body}
        style={{ height: rowsOnScreen.getTotalSize() }}
        onClick={clicked}
        onPointerOver={pointed}
        onPointerLeave={() => setHovered(undefined)}
      >
        {items.map((item) => {
          const event = pages?.event(item.index);
          return (
            <Row
              key={state.wrap ? item.index : item.index % pool.current}
              index={item.index}
              event={event}
              columns={state.columns}
              patterns={patterns}
              zone={zone}
              startPx={item.start}
              wrap={state.wrap}
              isCurrent={item.index === current}
              isOpen={event !== undefined && state.open !== "" && keyOf(event) === state.open}
              hovered={hovered?.row === item.index ? hovered.column : undefined}
              filter={actions.filter}
              measure={state.wrap ? rowsOnScreen.measureElement : undefined}
            />
          );
        })}
      </div>
    </div>
  );
}

function rowOf(target: EventTarget): number | undefined {
  const row = target instanceof Element ? target.closest<HTMLElement>("[data-index]") : null;
  return row ? Number(row.dataset.index) : undefined;
}

/** Asks for the rows on screen and the next ones, at most every few frames: whoever drags the bar passes many. */
function useWanted(pages: EventPages | undefined, first: number, last: number): void {
  const rows = pages?.rows;
  const asked = useRef(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: more rows are a reason to ask for the ones behind them
  useEffect(() => {
    if (!pages) return;
    const waitMs = asked.current + WANT_INTERVAL_MS - performance.now();
    const timer = setTimeout(
      () => {
        asked.current = performance.now();
        pages.want(first, last + AHEAD_ROWS);
      },
      Math.max(0, waitMs),
    );
    return () => clearTimeout(timer);
  }, [pages, first, last, rows]);
}
