import { lazy, Suspense, useMemo, useState } from "react";
import type { Answer } from "../answer";
import type { Plan } from "../chart/plan";
import { type Ordering, ordered } from "../ordering";
import { CellView } from "./CellView";
import type { CellPlace } from "./moving";
import { ResultBar, type View } from "./ResultBar";
import { ResultTable } from "./ResultTable";

const ResultChart = lazy(() =>
  import("../chart/ResultChart").then((module) => ({ default: module.ResultChart })),
);

interface ResultProps {
  answer: Answer;
  query: string;
  view: View;
  show: (view: View) => void;
  plan: Partial<Plan>;
  changePlan: (part: Partial<Plan>) => void;
}

/** A result as table or chart. Give it a `key` of the answer's own: order and chosen cell are of this answer only. */
export function Result({ answer, query, view, show, plan, changePlan }: ResultProps) {
  const [ordering, setOrdering] = useState<Ordering | null>(null);
  const [cell, setCell] = useState<CellPlace | null>(null);
  const [opened, setOpened] = useState<CellPlace | null>(null);
  const rows = useMemo(() => {
    const kind = ordering ? answer.columns[ordering.column]?.kind : undefined;
    return ordering && kind ? ordered(answer.rows, kind, ordering) : answer.rows;
  }, [answer, ordering]);
  const row = opened ? rows[opened.row] : undefined;
  return (
    <>
      <ResultBar answer={answer} rows={rows} query={query} cell={cell} view={view} show={show} />
      {view === "table" ? (
        <ResultTable
          answer={answer}
          rows={rows}
          ordering={ordering}
          order={(next) => {
            setOrdering(next);
            setCell(null);
          }}
          cell={cell}
          choose={setCell}
          open={setOpened}
        />
      ) : (
        <Suspense>
          <ResultChart answer={answer} chosen={plan} change={changePlan} />
        </Suspense>
      )}
      <CellView
        columns={answer.columns}
        opened={opened && row ? { row, column: opened.column } : null}
        close={() => setOpened(null)}
      />
    </>
  );
}
