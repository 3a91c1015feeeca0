import { ActionIcon, Popover, Text, Tooltip } from "@mantine/core";
import { IconChartBar, IconColumns3, IconMinus, IconPlus } from "@tabler/icons-react";
import { Fragment, type ReactNode, useMemo } from "react";
import type { LogEvent } from "../../api/client";
import type { SearchState } from "../../search-state";
import { CopyButton } from "../../ui/Copy";
import { LongLogText } from "../../ui/LogText";
import { visible } from "../../ui/visible";
import { TopValues } from "../fields/TopValues";
import { TIME, toggled } from "../results/columns";
import { highlights } from "../results/highlight";
import type { Run, SearchActions } from "../run";
import classes from "./Detail.module.css";
import { type Field, fieldsOf } from "./texts";

interface FieldTableProps {
  event: LogEvent;
  run: Run;
  state: SearchState;
  actions: SearchActions;
}

/** Every field of an event with what can be done with its value. */
export function FieldTable({ event, run, state, actions }: FieldTableProps) {
  const patterns = useMemo(() => highlights(run.q).others, [run.q]);
  return (
    <table className={classes.fields} aria-label="Fields of the opened line">
      <tbody>
        {fieldsOf(event).map((field) => (
          <tr key={field.name}>
            <th scope="row">
              <Name text={visible(field.name, "one")} />
            </th>
            <td>
              <LongLogText text={field.value} patterns={patterns} lengthMax={600} />
              <Tools field={field} run={run} state={state} actions={actions} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A name that breaks behind its dots and dashes where it must. */
function Name({ text }: { text: string }) {
  return text.split(/(?<=[._/-])/).map((part, index) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: parts have no identity but their place
    <Fragment key={index}>
      {part}
      <wbr />
    </Fragment>
  ));
}

function Tools({ field, run, state, actions }: { field: Field } & Omit<FieldTableProps, "event">) {
  const { name, value } = field;
  const isColumn = state.columns.includes(name);
  return (
    <span className={classes.tools}>
      <Tool label={`Only lines with this ${name}`} act={() => actions.filter(name, value, "for")}>
        <IconPlus size={15} stroke={1.8} />
      </Tool>
      <Tool label={`No lines with this ${name}`} act={() => actions.filter(name, value, "out")}>
        <IconMinus size={15} stroke={1.8} />
      </Tool>
      {name !== TIME && (
        <Tool
          label={isColumn ? `Hide the column ${name}` : `Show ${name} as a column`}
          pressed={isColumn}
          act={() => actions.change({ columns: toggled(state.columns, name) })}
        >
          <IconColumns3 size={15} stroke={1.8} />
        </Tool>
      )}
      {name !== TIME && (
        <Popover position="left-start" width={320} shadow="md" trapFocus returnFocus>
          <Popover.Target>
            <ActionIcon
              variant="subtle"
              color="gray"
              size={24}
              aria-label={`Top values of ${name}`}
              title={`Top values of ${name}`}
            >
              <IconChartBar size={15} stroke={1.8} />
            </ActionIcon>
          </Popover.Target>
          <Popover.Dropdown aria-label={`Top values of ${name}`}>
            <Text size="sm" fw={600} mb={6}>
              Top values of {name}
            </Text>
            <TopValues field={name} run={run} actions={actions} />
          </Popover.Dropdown>
        </Popover>
      )}
      <CopyButton text={value} label={`Copy ${name}`} />
    </span>
  );
}

function Tool({
  label,
  act,
  pressed,
  children,
}: {
  label: string;
  act: () => void;
  pressed?: boolean;
  children: ReactNode;
}) {
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant={pressed ? "light" : "subtle"}
        color={pressed ? "water" : "gray"}
        size={24}
        aria-label={label}
        {...(pressed === undefined ? {} : { "aria-pressed": pressed })}
        onClick={act}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
