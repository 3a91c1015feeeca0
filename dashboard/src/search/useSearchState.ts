import { useNavigate, useSearch } from "@tanstack/react-router";
import { type RefObject, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { addFilter } from "../query/edit";
import { DEFAULTS, differences, type SearchState } from "../search-state";
import { resolveWords } from "../time/parse";
import type { TimeWords } from "../time/range";
import { useZone } from "../time/zone";
import type { Run, SearchActions } from "./run";

export interface Search {
  state: SearchState;
  run: Run;
  actions: SearchActions;
  /** What is typed in the query line and perhaps not searched for yet. Every new run takes it along. */
  draft: RefObject<string>;
  /** Whether the address asks for a range of time that is none; the run then has the usual one. */
  isTimeWrong: boolean;
  /** Searches within `words`; `unzoom` comes back from there. */
  zoom(words: TimeWords): void;
  unzoom: (() => void) | null;
}

interface Zoom {
  from: TimeWords;
  to: TimeWords;
}

/** The search that the address says, and the run that is made of it. */
export function useSearchState(): Search {
  const given = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const zone = useZone();
  const state = useMemo<SearchState>(() => ({ ...DEFAULTS, ...given }), [given]);
  const draft = useRef(state.q);
  const [again, setAgain] = useState(0);
  const [zooms, setZooms] = useState<Zoom[]>([]);
  useEffect(() => {
    draft.current = state.q;
  }, [state.q]);

  const { run, isTimeWrong } = useRun(state, zone, again);

  const shown = useRef(state);
  shown.current = state;
  const go = useCallback(
    (part: Partial<SearchState>) => {
      const startsRun = "q" in part || "start" in part || "end" in part || "order" in part;
      const before = shown.current;
      const next = { ...before, ...(startsRun ? { q: draft.current.trim() } : {}), ...part };
      shown.current = next;
      draft.current = startsRun ? next.q : draft.current;
      const address = differences(next);
      const isSame = JSON.stringify(address) === JSON.stringify(differences(before));
      if (isSame && startsRun) setAgain((count) => count + 1);
      // Looks are no place to come back to; a search is.
      if (!isSame) void navigate({ to: "/", search: address, replace: !startsRun });
    },
    [navigate],
  );

  const actions = useMemo<SearchActions>(
    () => ({
      change: go,
      filter: (field, value, how) => go({ q: addFilter(draft.current, field, value, how) }),
      again: () => go({ q: draft.current.trim() }),
    }),
    [go],
  );
  // The browser's own way back and forth leads through zooms too, so the one that led here is looked for.
  const depth = zooms.findLastIndex(({ to }) => to.start === state.start && to.end === state.end);
  const last = zooms[depth];
  const zoom = (to: TimeWords) => {
    setZooms([...zooms.slice(0, depth + 1), { from: { start: state.start, end: state.end }, to }]);
    go({ start: to.start, end: to.end });
  };
  const unzoom = last ? () => go({ start: last.from.start, end: last.from.end }) : null;
  return { state, run, actions, draft, isTimeWrong, zoom, unzoom };
}

/** A new run whenever the searched words differ, or the same are searched again; looks keep the run. */
function useRun(state: SearchState, zone: string, again: number): { run: Run; isTimeWrong: boolean } {
  const words = JSON.stringify([state.q, state.start, state.end, state.order, zone, again]);
  const [made, setMade] = useState(() => ({ words, ...makeRun(state, zone) }));
  if (made.words === words) return made;
  const next = { words, ...makeRun(state, zone) };
  setMade(next);
  return next;
}

function makeRun(state: SearchState, zone: string): { run: Run; isTimeWrong: boolean } {
  const startedMs = Date.now();
  const span = resolveWords(state, startedMs, zone);
  const usual = resolveWords(DEFAULTS, startedMs, zone) ?? {};
  return {
    run: { q: state.q, span: span ?? usual, order: state.order, startedMs },
    isTimeWrong: span === null,
  };
}
