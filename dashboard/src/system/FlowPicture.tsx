import { useLayoutEffect, useRef, useState } from "react";
import { type Line, linesBetween, type Rect } from "./arrows";
import classes from "./Flow.module.css";
import { FlowBox } from "./FlowBox";
import type { Flow } from "./flow";

/** What flows where, live. On a narrow screen the boxes stand one above the other. */
export function FlowPicture({ flow }: { flow: Flow }) {
  const picture = useRef<HTMLDivElement>(null);
  const [rects, setRects] = useState<ReadonlyMap<string, Rect>>(new Map());
  const shape = flow.boxes.map((box) => box.id).join();

  // biome-ignore lint/correctness/useExhaustiveDependencies: other boxes are other elements
  useLayoutEffect(() => {
    const element = picture.current;
    if (!element) return;
    const measure = () => setRects(measured(element));
    const watched = new ResizeObserver(measure);
    watched.observe(element);
    for (const box of element.querySelectorAll("[data-box]")) watched.observe(box);
    return () => watched.disconnect();
  }, [shape]);

  const rows = flow.stores.length + 1;
  return (
    <div ref={picture} className={classes.picture} style={{ "--rows": rows } as React.CSSProperties}>
      <svg className={classes.lines} aria-hidden>
        {linesBetween(flow.arrows, rects).map((line) => (
          <FlowLine key={line.id} line={line} />
        ))}
      </svg>
      {flow.boxes.map((box) => (
        <FlowBox key={box.id} box={box} area={areaOf(box.id, flow, rows)} />
      ))}
    </div>
  );
}

function FlowLine({ line }: { line: Line }) {
  return (
    <>
      <path className={classes.line} d={line.path} />
      {line.durationS !== null && (
        <path className={classes.flowing} d={line.path} style={{ animationDuration: `${line.durationS}s` }} />
      )}
    </>
  );
}

/** Row and column, as CSS grid lines. The store that answers queries has the newest events in the row above it. */
function areaOf(id: string, { stores, boxes }: Flow, rows: number): string {
  const row = (store: string) => stores.indexOf(store) + 2;
  if (id === "demo") return "1 / 1 / span 1 / span 1";
  if (id === "gateway" && boxes.some((box) => box.id === "demo")) return `2 / 1 / span ${rows - 1} / span 1`;
  if (id === "gateway") return `1 / 1 / span ${rows} / span 1`;
  if (id === "log") return `1 / 2 / span ${rows} / span 1`;
  if (id === "hot") return "1 / 4 / span 1 / span 1";
  if (id === "api") return `1 / 5 / span ${rows} / span 1`;
  const [kind, store = ""] = id.split(" ");
  if (kind === "store") return `${row(store)} / 4 / span 1 / span 1`;
  return row(store) === 2 ? "1 / 3 / span 2 / span 1" : `${row(store)} / 3 / span 1 / span 1`;
}

function measured(picture: HTMLElement): Map<string, Rect> {
  const origin = picture.getBoundingClientRect();
  const found = new Map<string, Rect>();
  for (const box of picture.querySelectorAll<HTMLElement>("[data-box]")) {
    const { left, top, width, height } = box.getBoundingClientRect();
    found.set(box.dataset.box ?? "", { x: left - origin.left, y: top - origin.top, width, height });
  }
  return found;
}
