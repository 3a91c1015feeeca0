/** A cell of the result, as it is shown: both counted from 0. */
export interface CellPlace {
  row: number;
  column: number;
}

interface Bounds {
  rows: number;
  columns: number;
  pageRows: number;
}

interface Key {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
}

/** Where a key leads from a cell, as in any grid. Null: the key does not move. */
export function moved(
  { row, column }: CellPlace,
  { key, ctrlKey, metaKey }: Key,
  bounds: Bounds,
): CellPlace | null {
  const far = ctrlKey || metaKey;
  const steps: Record<string, [number, number]> = {
    ArrowDown: [far ? bounds.rows : 1, 0],
    ArrowUp: [far ? -bounds.rows : -1, 0],
    ArrowRight: [0, far ? bounds.columns : 1],
    ArrowLeft: [0, far ? -bounds.columns : -1],
    PageDown: [bounds.pageRows, 0],
    PageUp: [-bounds.pageRows, 0],
    Home: [far ? -bounds.rows : 0, -bounds.columns],
    End: [far ? bounds.rows : 0, bounds.columns],
  };
  const step = steps[key];
  if (!step) return null;
  return {
    row: Math.min(Math.max(row + step[0], 0), bounds.rows - 1),
    column: Math.min(Math.max(column + step[1], 0), bounds.columns - 1),
  };
}
