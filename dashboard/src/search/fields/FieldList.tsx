import { Skeleton, Text, TextInput } from "@mantine/core";
import { IconChevronRight, IconColumns3, IconFilter } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { Problem } from "../../api/client";
import type { SearchState } from "../../search-state";
import { visible } from "../../ui/visible";
import { toggled } from "../results/columns";
import type { Run, SearchActions } from "../run";
import classes from "./Fields.module.css";
import { type FieldCount, type Group, grouped, shortNumber } from "./groups";
import { TopValues, useFields } from "./TopValues";

/** More names than anybody looks through; the box above finds the others. */
const SHOWN_MAX = 200;

interface FieldListProps {
  run: Run;
  state: SearchState;
  actions: SearchActions;
}

/** The fields of the events that were found, with their top values. */
export function FieldList({ run, state, actions }: FieldListProps) {
  const asked = useFields(run);
  const [wanted, setWanted] = useState("");
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const groups = useMemo(() => grouped(asked.data ?? [], wanted), [asked.data, wanted]);
  const toggle = (name: string) =>
    setOpened((before) => {
      const after = new Set(before);
      if (!after.delete(name)) after.add(name);
      return after;
    });
  return (
    <section className={classes.list} aria-label="Fields">
      <TextInput
        className={classes.search ?? ""}
        size="xs"
        placeholder="Find a field"
        aria-label="Find a field"
        leftSection={<IconFilter size={14} stroke={1.7} />}
        value={wanted}
        onChange={(event) => setWanted(event.currentTarget.value)}
      />
      {asked.error && !asked.data && (
        <Text size="xs" p="sm" role="alert">
          {asked.error instanceof Problem && asked.error.column !== null
            ? "The fields show when the query can be read."
            : `The fields could not be read: ${asked.error.message}`}
        </Text>
      )}
      {asked.isPending && <Loading />}
      {asked.data && groups.length === 0 && (
        <Text size="xs" c="dimmed" p="sm">
          {wanted === "" ? "No line was found, so there are no fields." : "No field has this in its name."}
        </Text>
      )}
      {groups.map((group) => (
        <GroupOfFields
          key={group.name}
          group={group}
          opened={opened}
          toggle={toggle}
          run={run}
          state={state}
          actions={actions}
        />
      ))}
    </section>
  );
}

interface GroupProps extends FieldListProps {
  group: Group;
  opened: ReadonlySet<string>;
  toggle: (name: string) => void;
}

function GroupOfFields({ group, opened, toggle, ...search }: GroupProps) {
  const more = group.fields.length - SHOWN_MAX;
  return (
    <>
      <h2 className={classes.group}>{group.name}</h2>
      <ul className={classes.fields}>
        {group.fields.slice(0, SHOWN_MAX).map((field) => (
          <FieldItem
            key={field.name}
            field={field}
            isOpen={opened.has(field.name)}
            toggle={() => toggle(field.name)}
            {...search}
          />
        ))}
      </ul>
      {more > 0 && (
        <Text size="xs" c="dimmed" px="sm" py={4}>
          {more.toLocaleString("en")} more: type a part of the name above.
        </Text>
      )}
    </>
  );
}

interface ItemProps extends FieldListProps {
  field: FieldCount;
  isOpen: boolean;
  toggle: () => void;
}

function FieldItem({ field, isOpen, toggle, run, state, actions }: ItemProps) {
  const name = visible(field.name, "one");
  const isColumn = state.columns.includes(field.name);
  const label = isColumn ? `Hide the column ${name}` : `Show ${name} as a column`;
  return (
    <li>
      <div className={classes.field}>
        <button type="button" className={classes.name} aria-expanded={isOpen} onClick={toggle}>
          <IconChevronRight size={13} stroke={2} className={classes.chevron} aria-hidden />
          <span className={classes.nameText} title={name}>
            {name}
          </span>
          <span className={classes.count} title={`${field.count.toLocaleString("en")} lines have it`}>
            {shortNumber(field.count)}
          </span>
        </button>
        <button
          type="button"
          className={classes.column}
          aria-pressed={isColumn}
          aria-label={label}
          title={label}
          onClick={() => actions.change({ columns: toggled(state.columns, field.name) })}
        >
          <IconColumns3 size={14} stroke={1.8} />
        </button>
      </div>
      {isOpen && (
        <div className={classes.below}>
          <TopValues field={field.name} run={run} actions={actions} />
        </div>
      )}
    </li>
  );
}

function Loading() {
  return (
    <div className={classes.loading} aria-busy>
      {Array.from({ length: 10 }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: bars that stand for nothing in particular
        <Skeleton key={index} h={16} w={`${50 + ((index * 17) % 40)}%`} />
      ))}
    </div>
  );
}
