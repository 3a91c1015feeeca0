import { Button } from "@mantine/core";
import { IconArrowDown } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { useShortcuts } from "../shell/shortcuts";
import type { Marker } from "./highlight";
import classes from "./Live.module.css";
import { RowDetails } from "./RowDetails";
import { TailRow } from "./TailRow";
import { type Hold, rowAt, type TailClient } from "./tail-client";
import { useTailPart } from "./useTail";

const ROW_PX = 24;
/** Scrolled up by as much, somebody reads: the list stands still. */
const AWAY_PX = 2 * ROW_PX;
/** Rows that are at hand above the screen when somebody begins to scroll. */
const SPARE_ROWS = 30;

interface TailListProps {
  client: TailClient;
  q: string;
  zone: string;
  wrap: boolean;
  markers: readonly Marker[];
  setQuery: (q: string) => void;
}

/** The lines, newest at the bottom, where it stays while nobody scrolls up. */
export function TailList({ client, q, zone, wrap, markers, setQuery }: TailListProps) {
  const shown = useTailPart(client, "shown");
  const hold = useTailPart(client, "hold");
  const { first, end } = shown;
  const box = useRef<HTMLDivElement>(null);
  const pinnedPx = useRef(0);
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const [chosen, setChosen] = useState<number | null>(null);
  // Only then do heights differ, and belong to a line and not to its place. All else is spared the bookkeeping.
  const isMeasured = wrap || hold !== null;
  const keyOf = useCallback((index: number) => (isMeasured ? first + index : index), [isMeasured, first]);
  const virtual = useVirtualizer({
    count: end - first,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    getItemKey: keyOf,
    overscan: 8,
  });
  const height = virtual.getTotalSize();

  useScreenRows(box, client);
  // biome-ignore lint/correctness/useExhaustiveDependencies: sizes that were measured are of the other mode's keys
  useEffect(() => virtual.measure(), [isMeasured, wrap]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: new lines and measured heights both move the bottom
  useLayoutEffect(() => {
    if (hold !== null || !box.current) return;
    box.current.scrollTop = box.current.scrollHeight;
    pinnedPx.current = box.current.scrollTop;
  }, [shown, height, hold]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: what was opened is gone from the list then
  useEffect(() => {
    if (hold !== null) return;
    setOpen(new Set());
    setChosen(null);
  }, [hold, first > (chosen ?? first)]);

  function scrolled() {
    if (!box.current) return;
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    const belowPx = scrollHeight - scrollTop - clientHeight;
    if (hold === null && scrollTop < pinnedPx.current && belowPx > AWAY_PX) client.hold("scrolled");
    if (hold === "scrolled" && belowPx < 1) client.follow();
  }

  const toggle = useCallback(
    (seq: number) => {
      client.hold("paused");
      setChosen(seq);
      setOpen((before) => {
        const after = new Set(before);
        if (!after.delete(seq)) after.add(seq);
        return after;
      });
    },
    [client],
  );

  function step(by: number) {
    if (end === first) return;
    client.hold("paused");
    const seq = Math.min(end - 1, Math.max(first, chosen === null ? end - 1 : chosen + by));
    setChosen(seq);
    virtual.scrollToIndex(seq - first);
  }

  useShortcuts({ j: () => step(1), k: () => step(-1) });

  const items = virtual.getVirtualItems();
  return (
    <div className={classes.list}>
      <div
        ref={box}
        className={classes.scroller}
        onScroll={scrolled}
        role="log"
        aria-live="off"
        aria-label="Lines, newest last"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        tabIndex={0}
        onKeyDown={(event) => {
          if (event.key === "Enter" && chosen !== null && event.target === event.currentTarget)
            toggle(chosen);
        }}
      >
        <div className={classes.all} style={{ height }}>
          <div style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}>
            {items.map(({ index }) => {
              const seq = first + index;
              const row = rowAt(shown, seq);
              return (
                <div
                  // While lines rush through, places keep their elements, and only the texts change.
                  key={wrap ? seq : index}
                  data-index={index}
                  ref={isMeasured ? virtual.measureElement : undefined}
                >
                  {row ? (
                    <TailRow
                      row={row}
                      zone={zone}
                      q={q}
                      wrap={wrap}
                      markers={markers}
                      isOpen={open.has(seq)}
                      isChosen={chosen === seq}
                      toggle={toggle}
                    />
                  ) : (
                    <div className={classes.row} />
                  )}
                  {open.has(seq) && (
                    <RowDetails seq={seq} q={q} zone={zone} read={client.read} setQuery={setQuery} />
                  )}
                </div>
              );
            })}
          </div>
        </div>
      </div>
      {hold !== null && <Resume client={client} hold={hold} />}
    </div>
  );
}

function useScreenRows(box: React.RefObject<HTMLDivElement | null>, client: TailClient): void {
  useEffect(() => {
    if (!box.current) return;
    const watched = new ResizeObserver(([entry]) => {
      if (entry) client.setScreenRows(Math.ceil(entry.contentRect.height / ROW_PX) + SPARE_ROWS);
    });
    watched.observe(box.current);
    return () => watched.disconnect();
  }, [box, client]);
}

function Resume({ client, hold }: { client: TailClient; hold: Exclude<Hold, null> }) {
  const { waiting } = useTailPart(client, "figures");
  return (
    <Button
      className={classes.resume}
      size="compact-md"
      radius="xl"
      leftSection={<IconArrowDown size={16} aria-hidden />}
      onClick={client.follow}
    >
      {hold === "paused" ? "Paused" : "Standing still"}, {waiting.toLocaleString("en")} new
    </Button>
  );
}
