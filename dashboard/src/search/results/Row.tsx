// biome-ignore-all lint/a11y/useSemanticElements: a table of a million rows shows a few of them, placed by hand, which <table> cannot
// biome-ignore-all lint/a11y/useFocusableInteractive: the grid has the focus and names the row that is active
import { IconMinus, IconPlus } from "@tabler/icons-react";
import { memo, type Ref } from "react";
import type { LogEvent } from "../../api/client";
import { formatTime } from "../../time/zone";
import { LogText } from "../../ui/LogText";
import { levelArea, levelText } from "../../ui/levels";
import type { SearchActions } from "../run";
import { fieldValue, TIME } from "./columns";
import type { Highlights } from "./highlight";
import classes from "./Table.module.css";

/** A line cannot show more, however wide the screen is; a wrapped one shows the rest in the details. */
const SHOWN_MAX = { cut: 600, wrapped: 1500 };

interface RowProps {
  index: number;
  event: LogEvent | undefined;
  columns: readonly string[];
  patterns: Highlights;
  zone: string;
  startPx: number;
  wrap: boolean;
  isCurrent: boolean;
  isOpen: boolean;
  /** The column that the pointer is over. */
  hovered: string | undefined;
  filter: SearchActions["filter"];
  measure: Ref<HTMLDivElement> | undefined;
}

/** One line of the table; grey bars while it is not here yet. */
export const Row = memo(function Row(props: RowProps) {
  const { index, event, columns, zone, wrap } = props;
  return (
    <div
      ref={props.measure}
      id={rowId(index)}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={props.isOpen}
      aria-busy={event === undefined}
      data-index={index}
      data-current={props.isCurrent}
      className={classes.row}
      style={{
        transform: `translateY(${props.startPx}px)`,
        ...(event ? { "--row-level": levelArea(event.level) } : {}),
      }}
    >
      <span role="gridcell" className={classes.cell} data-column={TIME}>
        {event ? <time dateTime={event.timestamp}>{formatTime(event.timestamp, zone)}</time> : <Bar />}
      </span>
      {columns.map((column) => (
        <Cell
          key={column}
          column={column}
          event={event}
          wrap={wrap}
          patterns={props.patterns}
          filter={props.hovered === column ? props.filter : undefined}
        />
      ))}
    </div>
  );
});

export function rowId(index: number): string {
  return `line-${index}`;
}

interface CellProps {
  column: string;
  event: LogEvent | undefined;
  wrap: boolean;
  patterns: Highlights;
  filter: SearchActions["filter"] | undefined;
}

function Cell({ column, event, wrap, patterns, filter }: CellProps) {
  const value = event ? fieldValue(event, column) : null;
  return (
    <span
      role="gridcell"
      className={classes.cell}
      data-column={column}
      {...(column === "level" && event ? { style: { color: levelText(event.level) } } : {})}
    >
      {event === undefined && <Bar />}
      {value !== null && (
        <LogText
          text={value}
          lines={wrap ? "many" : "one"}
          lengthMax={wrap ? SHOWN_MAX.wrapped : SHOWN_MAX.cut}
          patterns={column === "message" ? patterns.message : patterns.others}
        />
      )}
      {event && value === null && <span className={classes.absent}>–</span>}
      {filter && event && column !== "message" && (
        <span className={classes.actions}>
          <FilterButton column={column} value={value} how="for" filter={filter} />
          <FilterButton column={column} value={value} how="out" filter={filter} />
        </span>
      )}
    </span>
  );
}

interface FilterButtonProps {
  column: string;
  value: string | null;
  how: "for" | "out";
  filter: SearchActions["filter"];
}

/** For the pointer only, so no stop of the Tab key: the details have the same for keys. */
function FilterButton({ column, value, how, filter }: FilterButtonProps) {
  const label = `${how === "for" ? "Only lines with" : "No lines with"} ${
    value === null ? `no ${column}` : `this ${column}`
  }`;
  return (
    <button
      type="button"
      tabIndex={-1}
      title={label}
      aria-label={label}
      onClick={(event) => {
        event.stopPropagation();
        filter(column, value, how);
      }}
    >
      {how === "for" ? <IconPlus size={13} stroke={2.2} /> : <IconMinus size={13} stroke={2.2} />}
    </button>
  );
}

function Bar() {
  return <span className={classes.bar} />;
}
