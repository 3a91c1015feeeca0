import { Button, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Empty } from "../../ui/States";
import type { Run, SearchActions } from "../run";
import { useElsewhere } from "./useCounts";

/** What stands in the place of the lines when a search has found none: why, and what to do. */
export function NoLines({ run, actions }: { run: Run; actions: SearchActions }) {
  const { matching, all } = useElsewhere(run, true);
  if (all === undefined || matching === undefined) return <Empty title="No lines here" />;
  if (all === 0) {
    return (
      <Empty title="No line has come in yet">
        <Text size="sm">Send some, or start the demo, and they show here.</Text>
        <Button component={Link} to="/start">
          Send the first lines
        </Button>
      </Empty>
    );
  }
  if (matching > 0) {
    return (
      <Empty title="No lines in this time">
        <Text size="sm">
          {matching.toLocaleString("en")} {matching === 1 ? "line matches" : "lines match"} at other times.
        </Text>
        <Button onClick={() => actions.change({ start: "", end: "" })}>Show all time</Button>
      </Empty>
    );
  }
  return (
    <Empty title="No line matches this query, at any time">
      <Text size="sm">
        Words are looked for whole: write <code>pay*</code> to find payment too. Are the names of the fields
        right?
      </Text>

      <Button onClick={() => actions.change({ q: "" })}>Clear the query</Button>
    </Empty>
  );
}
