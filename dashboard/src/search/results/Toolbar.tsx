import { ActionIcon, Tooltip } from "@mantine/core";
import { IconBaselineDensityMedium, IconBaselineDensitySmall, IconTextWrap } from "@tabler/icons-react";
import { useSyncExternalStore } from "react";
import type { SearchState } from "../../search-state";
import type { SearchActions } from "../run";
import classes from "./Results.module.css";
import type { SeenRows } from "./seen";
import type { useLooks } from "./useLooks";

interface ToolbarProps {
  state: SearchState;
  actions: SearchActions;
  looks: ReturnType<typeof useLooks>;
  seen: SeenRows;
  /** How many there are in all; undefined while they are counted. */
  total: number | undefined;
  /** How many came in since the search was run. */
  newer: number;
}

function number(value: number): string {
  return value.toLocaleString("en");
}

export function Toolbar({ state, actions, looks, seen, total, newer }: ToolbarProps) {
  const isCompact = looks.density === "compact";
  return (
    <div className={classes.toolbar}>
      <Place seen={seen} total={total} />
      <span role="status">
        {newer > 0 && (
          <button type="button" className={classes.newer} onClick={actions.again}>
            {number(newer)} new {newer === 1 ? "line" : "lines"}, show
          </button>
        )}
      </span>
      <span className={classes.tools}>
        <Tooltip label={state.wrap ? "One line each (w)" : "Wrap long lines (w)"}>
          <ActionIcon
            variant={state.wrap ? "light" : "subtle"}
            color={state.wrap ? "water" : "gray"}
            aria-label="Wrap long lines"
            aria-pressed={state.wrap}
            onClick={() => actions.change({ wrap: !state.wrap })}
          >
            <IconTextWrap size={17} stroke={1.7} />
          </ActionIcon>
        </Tooltip>
        <Tooltip label={isCompact ? "More room for each line" : "More lines on the screen"}>
          <ActionIcon
            variant={isCompact ? "light" : "subtle"}
            color={isCompact ? "water" : "gray"}
            aria-label="Compact lines"
            aria-pressed={isCompact}
            onClick={() => looks.chooseDensity(isCompact ? "comfortable" : "compact")}
          >
            {isCompact ? (
              <IconBaselineDensitySmall size={17} stroke={1.7} />
            ) : (
              <IconBaselineDensityMedium size={17} stroke={1.7} />
            )}
          </ActionIcon>
        </Tooltip>
      </span>
    </div>
  );
}

/** `1–60 of 12,345 lines`. */
function Place({ seen, total }: Pick<ToolbarProps, "seen" | "total">) {
  const { first, last } = useSyncExternalStore(seen.subscribe, seen.snapshot);
  return (
    <span className={classes.count}>
      {last >= 0 && (
        <>
          <b>
            {number(first + 1)}–{number(last + 1)}
          </b>
          {total !== undefined && ` of ${number(Math.max(total, last + 1))} lines`}
        </>
      )}
      {last < 0 && total === 0 && "No lines"}
    </span>
  );
}
