import { Text } from "@mantine/core";
import { useRef } from "react";
import { Problem } from "../api/client";
import { Empty, Failure } from "../ui/States";
import { EXAMPLES } from "./examples";
import classes from "./Outcome.module.css";
import { errorPlace, lineAndColumn, type Place } from "./place";
import { Result } from "./result/Result";
import type { SqlState } from "./sql-state";
import type { Statement } from "./useStatement";

interface OutcomeProps {
  statement: Statement;
  state: Partial<SqlState>;
  run: (query: string) => void;
  change: (part: Partial<SqlState>) => void;
}

/** What came of the statement, and before the first one how to begin. */
export function Outcome({ statement, state, run, change }: OutcomeProps) {
  if (statement.error) return <Wrong statement={statement} retry={() => run(statement.query)} />;
  if (statement.answer) return <Answered statement={statement} state={state} change={change} />;
  if (statement.state === "running") return null;
  if (statement.state === "cancelled") {
    return (
      <Empty title="Cancelled">
        <Text size="sm">The server has stopped working on it. Change the statement, or run it again.</Text>
      </Empty>
    );
  }
  return <Beginning run={run} />;
}

function Answered({ statement, state, change }: Omit<OutcomeProps, "run">) {
  const { answer } = statement;
  // A new answer is a new result: its order and its chosen cell begin anew.
  const made = useRef({ answer, number: 0 });
  if (made.current.answer !== answer) made.current = { answer, number: made.current.number + 1 };
  if (!answer) return null;
  return (
    <Result
      key={made.current.number}
      answer={answer}
      query={statement.query}
      view={state.view ?? "table"}
      show={(view) => change({ view })}
      plan={state}
      changePlan={change}
    />
  );
}

/** A wrong statement is told where it is wrong; anything else as everywhere. */
function Wrong({ statement, retry }: { statement: Statement; retry: () => void }) {
  const error = statement.error;
  if (!error) return null;
  if (!(error instanceof Problem) || error.status !== 400) return <Failure error={error} retry={retry} />;
  const place = placeOf(statement);
  const at = place && lineAndColumn(statement.query, place.from);
  return (
    <div className={classes.wrong} role="alert">
      <strong>{at ? `Line ${at.line}, column ${at.column}` : "This statement cannot run"}</strong>
      <pre>{error.message.replace(/^column \d+: /, "")}</pre>
    </div>
  );
}

/** Where the statement is wrong, as far as the server tells. */
export function placeOf({ error, query }: Statement): Place | null {
  return error instanceof Problem && error.status === 400
    ? errorPlace(query, error.column, error.message)
    : null;
}

function Beginning({ run }: { run: (query: string) => void }) {
  return (
    <section className={classes.beginning} aria-label="Examples">
      <p>
        One SELECT in DuckDB’s SQL over the table <code>logs</code>, which holds every event. Write your own,
        or begin with one of these:
      </p>
      <ul>
        {EXAMPLES.map((each) => (
          <li key={each.title}>
            <button type="button" onClick={() => run(each.query)}>
              <strong>{each.title}</strong>
              <code>{each.query.replace(/\s+/g, " ")}</code>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
