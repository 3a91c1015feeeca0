import { MultiSelect, NativeSelect, SegmentedControl, Skeleton } from "@mantine/core";
import { lazy, Suspense, useMemo } from "react";
import { Empty } from "../../ui/States";
import type { Answer } from "../answer";
import { CategoryBars } from "./CategoryBars";
import classes from "./Chart.module.css";
import { type Mark, type Plan, planned } from "./plan";
import { CATEGORIES_MAX, type Drawn, overCategories, overNumbers, SERIES_MAX } from "./series";

const TimePlot = lazy(() => import("./TimePlot"));

const MARKS: { value: Mark; label: string }[] = [
  { value: "line", label: "Line" },
  { value: "area", label: "Area" },
  { value: "bar", label: "Bars" },
];

interface ResultChartProps {
  answer: Answer;
  chosen: Partial<Plan>;
  change: (part: Partial<Plan>) => void;
}

export function ResultChart({ answer, chosen, change }: ResultChartProps) {
  const plan = useMemo(() => planned(answer, chosen), [answer, chosen]);
  if (!plan) {
    return (
      <Empty title="Nothing to draw">
        A chart needs a column of numbers, and a time or a category besides. Add an aggregate such as count(*)
        to the statement.
      </Empty>
    );
  }
  return (
    <div className={classes.chart}>
      <Choices answer={answer} plan={plan} change={change} />
      <Drawing answer={answer} plan={plan} />
    </div>
  );
}

function Drawing({ answer, plan }: { answer: Answer; plan: Plan }) {
  const kind = answer.columns.find((each) => each.name === plan.x)?.kind;
  const overPlaces = kind === "time" || kind === "number";
  const numbers = useMemo(() => (overPlaces ? overNumbers(answer, plan) : null), [answer, plan, overPlaces]);
  const categories = useMemo(
    () => (overPlaces ? null : overCategories(answer, plan)),
    [answer, plan, overPlaces],
  );
  const label = `${plan.y.join(", ")} by ${plan.x}${plan.by ? ` and ${plan.by}` : ""}. The table has the same figures.`;
  return (
    <>
      {numbers && (
        <Suspense fallback={<Skeleton className={classes.plot ?? ""} />}>
          <TimePlot drawn={numbers} mark={plan.mark} isTime={kind === "time"} label={label} />
        </Suspense>
      )}
      {categories && <CategoryBars drawn={categories} label={label} />}
      <Notice drawn={numbers ?? categories} />
    </>
  );
}

/** What the picture does not show is said. */
function Notice({ drawn }: { drawn: Drawn<unknown> | null }) {
  const said = [
    drawn?.seriesLeftOut &&
      `The ${SERIES_MAX} largest series are drawn; ${drawn.seriesLeftOut} more are in the table.`,
    drawn?.placesLeftOut &&
      `The first ${CATEGORIES_MAX} rows are drawn; ${drawn.placesLeftOut} more are in the table.`,
    drawn?.added &&
      "Rows that fall on the same place are added up: choose “Split by”, or group them in the statement.",
  ].filter(Boolean);
  return said.length > 0 && <p className={classes.notice}>{said.join(" ")}</p>;
}

function Choices({
  answer,
  plan,
  change,
}: {
  answer: Answer;
  plan: Plan;
  change: (part: Partial<Plan>) => void;
}) {
  const names = [
    ...new Set(answer.columns.filter((each) => each.kind !== "nested").map((each) => each.name)),
  ];
  const numbers = [
    ...new Set(answer.columns.filter((each) => each.kind === "number").map((each) => each.name)),
  ];
  const xKind = answer.columns.find((each) => each.name === plan.x)?.kind;
  const isCategory = xKind !== "time" && xKind !== "number";
  return (
    <div className={classes.choices}>
      <SegmentedControl
        size="xs"
        aria-label="Kind of chart"
        data={MARKS.map((each) => ({ ...each, disabled: isCategory && each.value !== "bar" }))}
        value={isCategory ? "bar" : plan.mark}
        onChange={(mark) => change({ mark: mark as Mark })}
      />
      <NativeSelect
        size="xs"
        label="Along"
        classNames={{ root: classes.choice ?? "" }}
        data={names}
        value={plan.x}
        onChange={(event) => change({ x: event.currentTarget.value })}
      />
      <MultiSelect
        size="xs"
        label="Values"
        classNames={{ root: classes.choice ?? "" }}
        data={numbers}
        value={plan.y}
        onChange={(y) => y.length > 0 && change({ y })}
        hidePickedOptions
      />
      <NativeSelect
        size="xs"
        label="Split by"
        classNames={{ root: classes.choice ?? "" }}
        data={[{ value: "", label: "nothing" }, ...names.filter((each) => each !== plan.x)]}
        value={plan.by}
        onChange={(event) => change({ by: event.currentTarget.value })}
      />
    </div>
  );
}
