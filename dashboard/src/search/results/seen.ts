/**
 * Which rows are on screen, for those who tell about it. It is apart from React's state, so that a step of scrolling does
 * not draw the whole page again, and it tells at most ten times a second: nobody reads faster.
 */
export interface RowSpan {
  first: number;
  last: number;
}

const NONE: RowSpan = { first: 0, last: -1 };
const TOLD_INTERVAL_MS = 100;

export class SeenRows {
  private told = NONE;
  private now = NONE;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<() => void>();

  readonly snapshot = (): RowSpan => this.told;

  readonly subscribe = (changed: () => void): (() => void) => {
    this.listeners.add(changed);
    return () => this.listeners.delete(changed);
  };

  readonly set = (first: number, last: number): void => {
    this.now = { first, last };
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.told = this.now;
      for (const each of this.listeners) each();
    }, TOLD_INTERVAL_MS);
  };
}
