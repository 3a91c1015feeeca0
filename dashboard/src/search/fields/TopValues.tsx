import { Skeleton, Text } from "@mantine/core";
import { IconMinus, IconPlus } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { get, type Schemas } from "../../api/client";
import { apiSpan } from "../../time/range";
import { LogText } from "../../ui/LogText";
import { levelArea } from "../../ui/levels";
import type { Run, SearchActions } from "../run";
import classes from "./Fields.module.css";
import { percent } from "./groups";

const VALUES_MAX = 10;

/** The most frequent values of a field among the events of a run, each with a way to keep to it or leave it out. */
export function TopValues({ field, run, actions }: { field: string; run: Run; actions: SearchActions }) {
  const asked = useQuery({
    queryKey: ["values", field, run],
    queryFn: ({ signal }) =>
      get<Schemas["Values"]>(
        `/api/fields/${encodeURIComponent(field)}/values`,
        { q: run.q, ...apiSpan(run.span), limit: VALUES_MAX },
        signal,
      ),
  });
  // Shares are of the events that have the field, which the list of fields has counted already.
  const fields = useFields(run);
  if (asked.error) return <Text size="xs">{asked.error.message}</Text>;
  if (!asked.data) return <Loading />;
  const { values } = asked.data;
  const all =
    fields.data?.find((each) => each.name === field)?.count ??
    values.reduce((sum, each) => sum + each.count, 0);
  if (values.length === 0) return <Text size="xs">No line of this search has the field.</Text>;
  return (
    <ul className={classes.values} aria-label={`Top values of ${field}`}>
      {values.map(({ value, count }) => (
        <li key={value} className={classes.value}>
          <span className={classes.valueText} title={value.slice(0, 300)}>
            <LogText text={value === "" ? "(empty)" : value} lengthMax={200} />
          </span>
          <span className={classes.share} title={`${count.toLocaleString("en")} lines`}>
            {percent(count, all)}
          </span>
          <span className={classes.pair}>
            <button
              type="button"
              aria-label={`Only lines with ${field} ${value.slice(0, 100)}`}
              title="Only lines with this"
              onClick={() => actions.filter(field, value, "for")}
            >
              <IconPlus size={14} stroke={2} />
            </button>
            <button
              type="button"
              aria-label={`No lines with ${field} ${value.slice(0, 100)}`}
              title="No lines with this"
              onClick={() => actions.filter(field, value, "out")}
            >
              <IconMinus size={14} stroke={2} />
            </button>
          </span>
          <span className={classes.track} aria-hidden>
            <span
              style={{
                width: `${all > 0 ? (100 * count) / all : 0}%`,
                ...(field === "level" ? { background: levelArea(value) } : {}),
              }}
            />
          </span>
        </li>
      ))}
    </ul>
  );
}

/** The fields that the events of a run have, with how many have each. */
export function useFields(run: Run) {
  return useQuery({
    queryKey: ["fields", run],
    queryFn: async ({ signal }) =>
      (await get<Schemas["Fields"]>("/api/fields", { q: run.q, ...apiSpan(run.span) }, signal)).fields,
    // The list of the run before stays until the new one is here.
    placeholderData: (before) => before,
  });
}

function Loading() {
  return (
    <span className={classes.loading} aria-busy>
      <Skeleton h={26} />
      <Skeleton h={26} />
      <Skeleton h={26} />
    </span>
  );
}
