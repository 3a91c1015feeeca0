import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import classes from "./Live.module.css";
import { SECONDS_MAX } from "./protocol";

const WIDTH = 120;
const HEIGHT = 24;

/** Lines a second over the last two minutes, and the rate of the last second in words. */
export function RateLine({ perSecond }: { perSecond: readonly number[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scheme = useComputedColorScheme("light");
  const now = perSecond.at(-1) ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another scheme has other colours, which the canvas cannot know
  useEffect(() => {
    if (canvas.current) draw(canvas.current, perSecond);
  }, [perSecond, scheme]);
  return (
    <div className={classes.rate} title="Lines a second over the last two minutes">
      <canvas ref={canvas} className={classes.spark} aria-hidden />
      <span className={classes.figure}>{now.toLocaleString("en")}</span>
      <span className={classes.unit}>lines/s</span>
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, perSecond: readonly number[]): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const scale = devicePixelRatio;
  canvas.width = WIDTH * scale;
  canvas.height = HEIGHT * scale;
  context.scale(scale, scale);
  context.fillStyle = getComputedStyle(canvas).color;
  const most = Math.max(1, ...perSecond);
  const step = WIDTH / SECONDS_MAX;
  const left = WIDTH - perSecond.length * step;
  perSecond.forEach((count, index) => {
    const height = count === 0 ? 0 : Math.max(1, (count / most) * HEIGHT);
    context.fillRect(left + index * step, HEIGHT - height, step + 0.2, height);
  });
}
