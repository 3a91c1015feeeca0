import { ActionIcon, Button, Drawer, Tooltip } from "@mantine/core";
import { useDisclosure, useLocalStorage, useMediaQuery } from "@mantine/hooks";
import { IconLayoutSidebar, IconSearch } from "@tabler/icons-react";
import { useMemo } from "react";
import { Problem } from "../api/client";
import { removeFilter } from "../query/edit";
import { QueryLine } from "../query/QueryLine";
import { SaveButton } from "../saved/SaveButton";
import { differences } from "../search-state";
import { TimePicker } from "../time/TimePicker";
import { ExportMenu } from "./ExportMenu";
import { FieldList } from "./fields/FieldList";
import { Histogram } from "./histogram/Histogram";
import type { DrawnSeries } from "./histogram/stack";
import { useHistogram } from "./histogram/useHistogram";
import { Results } from "./results/Results";
import classes from "./SearchPage.module.css";
import { type Search, useSearchState } from "./useSearchState";

/** From this width on the fields stand beside the results; below they come as a drawer. */
const WIDE = "(min-width: 1000px)";

export function SearchPage() {
  const search = useSearchState();
  const { state, run, actions } = search;
  const asked = useHistogram(run, state.by);
  const fields = useFieldsPlace();

  function choose({ kind, value }: DrawnSeries) {
    const field = state.by;
    const without = removeFilter(state.q, field, value, "for");
    if (without !== state.q.trim()) actions.change({ q: without });
    else if (kind !== "others") actions.filter(field, value, "for");
  }

  const list = <FieldList run={run} state={state} actions={actions} />;
  return (
    <div className={classes.page}>
      <h1 className={classes.title}>Search</h1>
      <Head search={search} error={asked.error} />
      <Histogram
        run={run}
        by={state.by}
        asked={asked}
        split={(by) => actions.change({ by })}
        choose={choose}
        zoom={search.zoom}
        unzoom={search.unzoom}
        before={
          <Tooltip label={fields.isShown ? "Hide the fields" : "Show the fields"}>
            <ActionIcon
              variant="subtle"
              color="gray"
              size={30}
              aria-label="Fields"
              aria-pressed={fields.isShown}
              onClick={fields.toggle}
            >
              <IconLayoutSidebar size={18} stroke={1.7} />
            </ActionIcon>
          </Tooltip>
        }
      >
        <ExportMenu run={run} state={state} actions={actions} />
        <SaveButton kind="search" state={differences({ ...state, open: "" })} suggestion={state.q} />
      </Histogram>
      <div className={classes.body}>
        {fields.isWide && fields.isShown && <aside className={classes.fields}>{list}</aside>}
        <Drawer
          opened={!fields.isWide && fields.isShown}
          onClose={fields.toggle}
          title="Fields"
          size="min(320px, 90vw)"
          padding={0}
          classNames={{ header: classes.drawerHead ?? "" }}
        >
          {list}
        </Drawer>
        <div className={classes.results}>
          <Results run={run} state={state} actions={actions} />
        </div>
      </div>
    </div>
  );
}

interface HeadProps {
  search: Search;
  error: Error | null;
}

/** Query, time, and the button that searches. */
function Head({ search, error }: HeadProps) {
  const { state, run, actions, draft } = search;
  const problem = useMemo(
    () =>
      error instanceof Problem && error.status === 400
        ? { message: error.message, column: error.column }
        : null,
    [error],
  );
  return (
    <div className={classes.head}>
      <div className={classes.query}>
        <QueryLine
          text={state.q}
          submit={(q) => actions.change({ q })}
          changed={(q) => {
            draft.current = q;
          }}
          problem={problem}
          span={run.span}
        />
      </div>
      <TimePicker
        words={state}
        span={run.span}
        isWrong={search.isTimeWrong}
        change={({ start, end }) => actions.change({ start, end })}
      />
      <Button className={classes.go ?? ""} aria-label="Search" onClick={actions.again}>
        <IconSearch size={16} stroke={2} aria-hidden />
        <span className={classes.goText}>Search</span>
      </Button>
    </div>
  );
}

/** Whether the fields are shown: beside the results as it was left, on a narrow page only when asked for. */
function useFieldsPlace() {
  const isWide = useMediaQuery(WIDE, true, { getInitialValueInEffect: false });
  const [isBeside, setBeside] = useLocalStorage({
    key: "tailrace-fields",
    defaultValue: true,
    getInitialValueInEffect: false,
  });
  const [isDrawn, drawer] = useDisclosure(false);
  return {
    isWide,
    isShown: isWide ? isBeside : isDrawn,
    toggle: () => (isWide ? setBeside(!isBeside) : drawer.toggle()),
  };
}
