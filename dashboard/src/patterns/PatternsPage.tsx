import { Anchor, Skeleton, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { get, Problem } from "../api/client";
import { page } from "../page";
import { QueryLine } from "../query/QueryLine";
import { DEFAULTS, differences, type SearchState } from "../search-state";
import { resolveWords } from "../time/parse";
import { apiSpan } from "../time/range";
import { TimePicker } from "../time/TimePicker";
import { useZone } from "../time/zone";
import { Empty, Failure } from "../ui/States";
import type { Ordering, Pattern, Patterns } from "./model";
import classes from "./PatternsPage.module.css";
import { PatternsTable } from "./PatternsTable";

const LIMIT = 200;
const PLACEHOLDERS = ["a", "b", "c", "d", "e", "f"];

export function PatternsPage() {
  if (page.features.includes("patterns")) return <PatternsOfSearch />;
  return (
    <Empty title="This server does not find patterns">
      <h1 className={classes.title}>Patterns</h1>
      <Text size="sm">
        A newer Tailrace groups lines that differ only in their numbers and names. Until then, the SQL page
        has an example that does something like it.
      </Text>
      <Anchor component={Link} to="/sql">
        Go to SQL
      </Anchor>
    </Empty>
  );
}

function PatternsOfSearch() {
  const given = useSearch({ from: "/patterns" });
  const navigate = useNavigate({ from: "/patterns" });
  const zone = useZone();
  const state = useMemo<SearchState>(() => ({ ...DEFAULTS, ...given }), [given]);
  const [ordering, setOrdering] = useState<Ordering>("count");
  const change = (part: Partial<SearchState>) =>
    void navigate({ search: differences({ ...state, ...part }) });

  const { start, end } = state;
  const resolved = useMemo(() => resolveWords({ start, end }, Date.now(), zone), [start, end, zone]);
  const span = resolved ?? {};
  const asked = useQuery({
    queryKey: ["patterns", state.q, span],
    queryFn: ({ signal }) =>
      get<Patterns>("/api/patterns", { q: state.q, ...apiSpan(span), limit: LIMIT }, signal),
    enabled: resolved !== null,
  });
  const problem = asked.error instanceof Problem && asked.error.column !== null ? asked.error : null;
  const found = asked.data?.patterns ?? [];

  return (
    <div className={classes.page}>
      <h1 className={classes.title}>Patterns</h1>
      <div className={classes.head}>
        <QueryLine
          text={state.q}
          submit={(q) => change({ q })}
          problem={problem && { message: problem.message, column: problem.column }}
          span={span}
        />
        <TimePicker words={{ start, end }} span={span} isWrong={resolved === null} change={change} />
      </div>
      <p className={classes.figures} role="status">
        {asked.data && summaryText(asked.data)}
      </p>
      <div className={classes.content}>
        {asked.isPending && <Waiting />}
        {asked.error && !problem && <Failure error={asked.error} retry={() => void asked.refetch()} />}
        {asked.data && found.length === 0 && (
          <Empty title="No event in this time">
            <Text size="sm">Take a longer time, or less in the query.</Text>
          </Empty>
        )}
        {found.length > 0 && (
          <PatternsTable
            patterns={found}
            ordering={ordering}
            order={setOrdering}
            zone={zone}
            link={(pattern, content) => (
              <Link to="/" search={differences({ ...state, q: joined(state.q, pattern) })}>
                {content}
              </Link>
            )}
          />
        )}
      </div>
    </div>
  );
}

function summaryText({ patterns, count }: Patterns): string {
  const events = patterns.reduce((sum, each) => sum + each.count, 0);
  const shown = patterns.length < count ? `the ${patterns.length} most frequent of ${count}` : `${count}`;
  return `${shown} patterns, ${events.toLocaleString("en")} events`;
}

function joined(q: string, pattern: Pattern): string {
  return q.trim() === "" ? pattern.q : `(${q.trim()}) AND (${pattern.q})`;
}

function Waiting() {
  return (
    <div aria-busy="true" className={classes.waiting}>
      {PLACEHOLDERS.map((each) => (
        <Skeleton key={each} height={32} />
      ))}
    </div>
  );
}
