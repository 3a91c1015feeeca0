import { useRef, useState } from "react";
import { readText, writeText } from "../../ui/kept";
import classes from "./Detail.module.css";

const KEY = "tailrace-detail-width";
const MIN_PX = 340;
const MAX_PX = 1400;
const USUAL_PX = 480;
const KEY_STEP_PX = 24;

function bounded(px: number): number {
  return Math.min(Math.max(Math.round(px), MIN_PX), MAX_PX);
}

/** Width of the opened line's panel, kept in this browser. */
export function useDetailWidth(): { widthPx: number; setWidthPx: (px: number) => void } {
  const [widthPx, set] = useState(() => bounded(Number(readText(KEY)) || USUAL_PX));
  const setWidthPx = (px: number) => {
    writeText(KEY, String(bounded(px)));
    set(bounded(px));
  };
  return { widthPx, setWidthPx };
}

/** The edge between table and panel, moved by pointer or by the arrow keys. */
export function Splitter({ widthPx, setWidthPx }: { widthPx: number; setWidthPx: (px: number) => void }) {
  const from = useRef<{ x: number; widthPx: number }>(undefined);
  return (
    // biome-ignore lint/a11y/useSemanticElements: an <hr> holds no value
    <div
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of the opened line"
      aria-valuenow={widthPx}
      aria-valuemin={MIN_PX}
      aria-valuemax={MAX_PX}
      tabIndex={0}
      className={classes.splitter}
      onDoubleClick={() => setWidthPx(USUAL_PX)}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { x: event.clientX, widthPx };
      }}
      onPointerMove={(event) => {
        if (from.current) setWidthPx(from.current.widthPx + from.current.x - event.clientX);
      }}
      onPointerUp={() => {
        from.current = undefined;
      }}
      onKeyDown={(event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        event.preventDefault();
        setWidthPx(widthPx + (event.key === "ArrowLeft" ? KEY_STEP_PX : -KEY_STEP_PX));
      }}
    />
  );
}
