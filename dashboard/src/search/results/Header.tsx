// biome-ignore-all lint/a11y/useSemanticElements: a table of a million rows shows a few of them, placed by hand, which <table> cannot
// biome-ignore-all lint/a11y/useFocusableInteractive: the grid has the focus and names the row that is active
import { Menu } from "@mantine/core";
import {
  IconArrowDown,
  IconArrowLeft,
  IconArrowRight,
  IconArrowsHorizontal,
  IconArrowUp,
  IconEyeOff,
} from "@tabler/icons-react";
import { type KeyboardEvent, memo, type PointerEvent, useRef, useState } from "react";
import type { SearchState } from "../../search-state";
import { offsetText } from "../../time/zone";
import type { Run, SearchActions } from "../run";
import { moved, TIME, toggled, WIDTH_MIN, type Widths, widthOf } from "./columns";
import classes from "./Header.module.css";

interface HeaderProps {
  run: Run;
  state: SearchState;
  actions: SearchActions;
  zone: string;
  widths: Widths;
  resize: (column: string, width: number | undefined) => void;
}

/**
 * The names of the columns: sorts by time, and moves, resizes and removes columns by pointer or keys. Remembered, as its
 * menus would cost more than all rows with each step of scrolling.
 */
export const Header = memo(function Header({ run, state, actions, zone, widths, resize }: HeaderProps) {
  const { columns, order } = state;
  const [dragged, setDragged] = useState<string>();
  const [target, setTarget] = useState<string>();
  const move = (column: string, to: number) => actions.change({ columns: moved(columns, column, to) });
  const Arrow = order === "desc" ? IconArrowDown : IconArrowUp;
  return (
    <div role="row" aria-rowindex={1} className={classes.header}>
      <div
        role="columnheader"
        aria-sort={order === "desc" ? "descending" : "ascending"}
        className={classes.cell}
        tabIndex={-1}
      >
        <button
          type="button"
          className={classes.name}
          title={
            order === "desc" ? "Newest first. Show the oldest first" : "Oldest first. Show the newest first"
          }
          onClick={() => actions.change({ order: order === "desc" ? "asc" : "desc" })}
        >
          <span>Time</span>
          <span className={classes.zone}>{offsetText(run.startedMs, zone)}</span>
          <Arrow size={13} stroke={2} aria-hidden />
        </button>
        <Resizer column={TIME} widths={widths} resize={resize} />
      </div>
      {columns.map((column, index) => (
        <div
          key={column}
          role="columnheader"
          tabIndex={-1}
          className={classes.cell}
          data-target={target === column && dragged !== undefined && dragged !== column}
          data-after={dragged !== undefined && columns.indexOf(dragged) < index}
          onDragOver={(event) => {
            if (dragged === undefined) return;
            event.preventDefault();
            setTarget(column);
          }}
          onDrop={(event) => {
            event.preventDefault();
            if (dragged !== undefined) move(dragged, index);
          }}
        >
          <Menu position="bottom-start" width={190}>
            <Menu.Target>
              <button
                type="button"
                className={classes.name}
                title="Options. Drag, or hold Alt and press ← or →, to move"
                draggable
                onDragStart={(event) => {
                  event.dataTransfer.effectAllowed = "move";
                  event.dataTransfer.setData("text/plain", column);
                  setDragged(column);
                }}
                onDragEnd={() => {
                  setDragged(undefined);
                  setTarget(undefined);
                }}
                onKeyDown={(event) => {
                  const step = stepOf(event);
                  if (!event.altKey || step === 0) return;
                  event.preventDefault();
                  move(column, Math.min(index + step, columns.length - 1));
                }}
              >
                <span>{column}</span>
              </button>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item
                leftSection={<IconArrowLeft size={15} />}
                disabled={index === 0}
                onClick={() => move(column, index - 1)}
              >
                Move left
              </Menu.Item>
              <Menu.Item
                leftSection={<IconArrowRight size={15} />}
                disabled={index === columns.length - 1}
                onClick={() => move(column, index + 1)}
              >
                Move right
              </Menu.Item>
              <Menu.Item
                leftSection={<IconArrowsHorizontal size={15} />}
                onClick={() => resize(column, undefined)}
              >
                Usual width
              </Menu.Item>
              <Menu.Item
                leftSection={<IconEyeOff size={15} />}
                onClick={() => actions.change({ columns: toggled(columns, column) })}
              >
                Hide the column
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
          <Resizer column={column} widths={widths} resize={resize} />
        </div>
      ))}
    </div>
  );
});

function stepOf(event: KeyboardEvent): -1 | 0 | 1 {
  if (event.key === "ArrowLeft") return -1;
  return event.key === "ArrowRight" ? 1 : 0;
}

const KEY_STEP_PX = 16;

function Resizer({ column, widths, resize }: Pick<HeaderProps, "widths" | "resize"> & { column: string }) {
  const from = useRef<{ x: number; width: number }>(undefined);
  const width = widthOf(column, widths);
  const pulled = (event: PointerEvent<HTMLElement>) => {
    if (from.current)
      resize(column, Math.max(WIDTH_MIN, from.current.width + event.clientX - from.current.x));
  };
  return (
    <div
      role="separator"
      aria-orientation="vertical"
      aria-label={`Width of ${column}`}
      aria-valuenow={Math.round(width)}
      aria-valuemin={WIDTH_MIN}
      tabIndex={0}
      className={classes.resizer}
      onDoubleClick={() => resize(column, undefined)}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        const cell = event.currentTarget.parentElement;
        from.current = { x: event.clientX, width: cell?.getBoundingClientRect().width ?? width };
      }}
      onPointerMove={pulled}
      onPointerUp={() => {
        from.current = undefined;
      }}
      onKeyDown={(event) => {
        const step = stepOf(event);
        if (step === 0 || event.altKey) return;
        event.preventDefault();
        resize(column, Math.max(WIDTH_MIN, width + step * KEY_STEP_PX));
      }}
    />
  );
}
