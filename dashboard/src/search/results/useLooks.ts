import { useCallback, useState } from "react";
import { readText, writeText } from "../../ui/kept";
import { keepWidths, keptWidths, type Widths } from "./columns";

export type Density = "comfortable" | "compact";

const DENSITY_KEY = "tailrace-density";

/** Height of a row in pixels. On a narrow screen the message has a line of its own. */
export function rowHeight(density: Density, isNarrow: boolean): number {
  if (isNarrow) return density === "compact" ? 46 : 54;
  return density === "compact" ? 24 : 30;
}

/** How the table looks, as this browser keeps it. */
export function useLooks() {
  const [density, setDensity] = useState<Density>(() =>
    readText(DENSITY_KEY) === "compact" ? "compact" : "comfortable",
  );
  const [widths, setWidths] = useState<Widths>(keptWidths);
  const chooseDensity = useCallback((chosen: Density) => {
    writeText(DENSITY_KEY, chosen);
    setDensity(chosen);
  }, []);
  /** `width` undefined: the usual one. */
  const resize = useCallback((column: string, width: number | undefined) => {
    setWidths((before) => {
      const { [column]: _, ...others } = before;
      const after = width === undefined ? others : { ...others, [column]: width };
      keepWidths(after);
      return after;
    });
  }, []);
  return { density, chooseDensity, widths, resize };
}
