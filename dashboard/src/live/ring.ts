/**
 * The newest items of a stream, bounded in number and in characters. An item's number counts everything that was ever
 * put in, so it stays the same while older items go.
 */
export class Ring<T> {
  private readonly items: (T | undefined)[];
  private readonly sizes: Float64Array;
  private chars = 0;
  /** Number of the oldest item. */
  first = 0;
  /** Number of the next item to come. */
  end = 0;

  constructor(
    private readonly itemsMax: number,
    private readonly charsMax: number,
    /** Is told of each item that has to make room. */
    private readonly gone: (item: T, number: number) => void = () => {},
  ) {
    this.items = new Array(itemsMax).fill(undefined);
    this.sizes = new Float64Array(itemsMax);
  }

  push(item: T, chars: number): void {
    // The newest item stays, however large.
    while (
      this.first < this.end &&
      (this.end - this.first >= this.itemsMax || this.chars + chars > this.charsMax)
    )
      this.shift();
    const at = this.end % this.itemsMax;
    this.items[at] = item;
    this.sizes[at] = chars;
    this.chars += chars;
    this.end++;
  }

  get(number: number): T | undefined {
    return number >= this.first && number < this.end ? this.items[number % this.itemsMax] : undefined;
  }

  /** Puts another in the place of the newest. */
  replaceLast(item: T): void {
    if (this.end > this.first) this.items[(this.end - 1) % this.itemsMax] = item;
  }

  /** Items `from` to `to` (not included) that are there. */
  slice(from: number, to: number): T[] {
    const found: T[] = [];
    for (let number = Math.max(from, this.first); number < Math.min(to, this.end); number++)
      found.push(this.items[number % this.itemsMax] as T);
    return found;
  }

  /** Empties it; numbers go on. Nobody is told. */
  clear(): void {
    this.items.fill(undefined);
    this.chars = 0;
    this.first = this.end;
  }

  private shift(): void {
    const at = this.first % this.itemsMax;
    const item = this.items[at] as T;
    this.items[at] = undefined;
    this.chars -= this.sizes[at] ?? 0;
    this.gone(item, this.first);
    this.first++;
  }
}
