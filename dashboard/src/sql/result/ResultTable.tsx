// biome-ignore-all lint/a11y/useSemanticElements: rows and columns that are not drawn leave a table element nothing to lay out
import { useElementSize, useMergedRef } from "@mantine/hooks";
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import { copyText } from "../../ui/clipboard";
import { LogText } from "../../ui/LogText";
import type { Answer, Column, Row } from "../answer";
import { wholeText } from "../cells";
import { nextOrdering, type Ordering } from "../ordering";
import { type CellPlace, moved } from "./moving";
import classes from "./ResultTable.module.css";
import { columnWidths } from "./widths";

const ROW_PX = 28;
const NUMBERS_PX = 56;
const SHOWN_CHARACTERS_MAX = 300;

interface ResultTableProps {
  answer: Answer;
  /** The answer's rows in the order to show. */
  rows: readonly Row[];
  ordering: Ordering | null;
  order: (ordering: Ordering | null) => void;
  cell: CellPlace | null;
  choose: (cell: CellPlace) => void;
  open: (cell: CellPlace) => void;
}

export function ResultTable({ answer, rows, ordering, order, cell, choose, open }: ResultTableProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const { ref: sized, width } = useElementSize();
  const [focused, setFocused] = useState(false);
  const widths = useMemo(() => columnWidths(answer, width - NUMBERS_PX), [answer, width]);
  const down = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
    scrollPaddingStart: ROW_PX + 6,
  });
  const across = useVirtualizer({
    horizontal: true,
    count: answer.columns.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => widths[index] ?? 100,
    overscan: 4,
    scrollPaddingStart: NUMBERS_PX,
  });
  // The virtualiser keeps sizes until it is told that they are others.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the widths are what it measures
  useEffect(() => across.measure(), [across, widths]);

  function show(place: CellPlace) {
    choose(place);
    down.scrollToIndex(place.row);
    across.scrollToIndex(place.column);
  }

  function pressed(event: React.KeyboardEvent) {
    // The keys of the buttons in the head are theirs.
    if (event.target !== event.currentTarget || rows.length === 0) return;
    const here = cell ?? { row: 0, column: 0 };
    if ((event.ctrlKey || event.metaKey) && event.key === "c" && cell && !getSelection()?.toString()) {
      void copyText(wholeText(rows[cell.row]?.[cell.column]));
    } else if ((event.key === "Enter" || event.key === " ") && !event.ctrlKey && !event.metaKey) {
      if (cell) open(cell);
      else show(here);
    } else {
      const pageRows = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / ROW_PX) - 2);
      const next = moved(here, event, {
        rows: rows.length,
        columns: answer.columns.length,
        pageRows,
      });
      if (!next) return;
      show(cell ? next : here);
    }
    event.preventDefault();
  }

  const columns = across.getVirtualItems();
  return (
    <div
      ref={useMergedRef(scroller, sized)}
      className={classes.scroller}
      role="grid"
      aria-label="Result"
      aria-rowcount={rows.length + 1}
      aria-colcount={answer.columns.length + 1}
      aria-activedescendant={focused && cell ? cellId(cell) : undefined}
      tabIndex={0}
      onFocus={(event) => setFocused(event.target === event.currentTarget)}
      onBlur={() => setFocused(false)}
      onKeyDown={pressed}
    >
      <div
        className={classes.canvas}
        style={{ height: down.getTotalSize() + ROW_PX + 2, width: across.getTotalSize() + NUMBERS_PX }}
      >
        <div className={classes.head} role="row" aria-rowindex={1} tabIndex={-1}>
          <div className={classes.number} role="columnheader" tabIndex={-1}>
            #
          </div>
          {columns.map((item) => {
            const column = answer.columns[item.index];
            return (
              column && (
                <Head
                  key={item.key}
                  column={column}
                  index={item.index}
                  startPx={item.start + NUMBERS_PX}
                  widthPx={item.size}
                  direction={ordering?.column === item.index ? ordering.direction : null}
                  pressed={() => order(nextOrdering(ordering, item.index))}
                />
              )
            );
          })}
        </div>
        {down.getVirtualItems().map((item) => (
          <div
            key={item.key}
            className={classes.row}
            role="row"
            aria-rowindex={item.index + 2}
            tabIndex={-1}
            style={{ transform: `translateY(${item.start + ROW_PX + 2}px)` }}
            data-chosen={cell?.row === item.index || undefined}
          >
            <div className={classes.number} role="rowheader" tabIndex={-1}>
              {item.index + 1}
            </div>
            {columns.map((across) => (
              <div
                key={across.key}
                id={cellId({ row: item.index, column: across.index })}
                className={classes.cell}
                role="gridcell"
                tabIndex={-1}
                aria-colindex={across.index + 2}
                aria-selected={cell?.row === item.index && cell.column === across.index}
                data-kind={answer.columns[across.index]?.kind}
                style={{ left: across.start + NUMBERS_PX, width: across.size }}
                onPointerDown={() => choose({ row: item.index, column: across.index })}
                onDoubleClick={() => open({ row: item.index, column: across.index })}
              >
                <Value value={rows[item.index]?.[across.index]} />
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

function cellId({ row, column }: CellPlace): string {
  return `cell-${row}-${column}`;
}

const Value = memo(function Value({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span className={classes.absent}>NULL</span>;
  return <LogText text={wholeText(value)} lengthMax={SHOWN_CHARACTERS_MAX} />;
});

interface HeadProps {
  column: Column;
  index: number;
  startPx: number;
  widthPx: number;
  direction: "asc" | "desc" | null;
  pressed: () => void;
}

const SORT = { asc: "ascending", desc: "descending" } as const;

function Head({ column, index, startPx, widthPx, direction, pressed }: HeadProps) {
  return (
    <div
      className={classes.headCell}
      role="columnheader"
      tabIndex={-1}
      aria-colindex={index + 2}
      aria-sort={direction ? SORT[direction] : "none"}
      data-kind={column.kind}
      style={{ left: startPx, width: widthPx }}
    >
      <button type="button" onClick={pressed} title={`${column.name}: ${column.type}`}>
        <span>{column.name}</span>
        {direction === "asc" && <IconArrowUp size={13} aria-hidden />}
        {direction === "desc" && <IconArrowDown size={13} aria-hidden />}
      </button>
    </div>
  );
}
