/** Levels in the order of severity, as the server names them. */
export const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] as const;

export type Level = (typeof LEVELS)[number];

function name(level: string | null): string {
  const found = LEVELS.find((each) => each === level);
  return found ? found.toLowerCase() : "none";
}

/** CSS colour of a level as text. */
export function levelText(level: string | null): string {
  return `var(--level-${name(level)})`;
}

/** CSS colour of a level as an area. */
export function levelArea(level: string | null): string {
  return `var(--bar-${name(level)})`;
}
