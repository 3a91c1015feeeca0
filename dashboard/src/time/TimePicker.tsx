import { ActionIcon, Popover, Tooltip, UnstyledButton } from "@mantine/core";
import {
  IconChevronDown,
  IconChevronLeft,
  IconChevronRight,
  IconClock,
  IconZoomOut,
} from "@tabler/icons-react";
import { useState } from "react";
import { useShortcuts } from "../shell/shortcuts";
import { rangeLabel, spanLabel } from "./label";
import type { TimeSpan, TimeWords } from "./range";
import { shifted, widened } from "./shift";
import { TimePanel } from "./TimePanel";
import classes from "./TimePicker.module.css";
import { offsetText, useZone } from "./zone";

interface TimePickerProps {
  words: TimeWords;
  /** What the words meant when the search began. */
  span: TimeSpan;
  isWrong: boolean;
  change(words: TimeWords): void;
}

/** Chooses the range of time: typed, quick, or by calendar; and moves it. */
export function TimePicker({ words, span, isWrong, change }: TimePickerProps) {
  const [opened, setOpened] = useState(false);
  const zone = useZone();
  useShortcuts({ t: () => setOpened(true) });

  function choose(chosen: TimeWords) {
    setOpened(false);
    change(chosen);
  }

  const label = isWrong ? "Not a time: the last 15 minutes" : rangeLabel(words, span, zone);
  const exact =
    span.startMs !== undefined && span.endMs !== undefined
      ? spanLabel(span.startMs, span.endMs, zone)
      : label;
  return (
    <fieldset className={classes.picker} aria-label="Range of time">
      <MoveButton label="The time before" to={shifted(span, -1)} change={change}>
        <IconChevronLeft size={17} stroke={1.8} />
      </MoveButton>
      <Popover
        opened={opened}
        onChange={setOpened}
        position="bottom-end"
        shadow="md"
        width="min(460px, calc(100vw - 16px))"
        trapFocus
        returnFocus
        withinPortal
      >
        <Popover.Target>
          <UnstyledButton
            className={classes.chosen}
            data-wrong={isWrong}
            title={`${exact} (${offsetText(span.endMs ?? Date.now(), zone)}). Press t to change.`}
            aria-label={`Time: ${label}`}
            onClick={() => setOpened(!opened)}
          >
            <IconClock size={16} stroke={1.8} aria-hidden />
            <span className={classes.label}>{label}</span>
            <span className={classes.zone}>{zone === "UTC" ? "UTC" : ""}</span>
            <IconChevronDown size={14} stroke={2} aria-hidden />
          </UnstyledButton>
        </Popover.Target>
        <Popover.Dropdown className={classes.panel} aria-label="Choose a time">
          <TimePanel span={span} choose={choose} />
        </Popover.Dropdown>
      </Popover>
      <MoveButton label="The time after" to={shifted(span, 1)} change={change}>
        <IconChevronRight size={17} stroke={1.8} />
      </MoveButton>
      <MoveButton label="Twice the time" to={widened(span, Date.now())} change={change}>
        <IconZoomOut size={17} stroke={1.8} />
      </MoveButton>
    </fieldset>
  );
}

interface MoveButtonProps {
  label: string;
  to: TimeWords | null;
  change(words: TimeWords): void;
  children: React.ReactNode;
}

function MoveButton({ label, to, change, children }: MoveButtonProps) {
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size={36}
        aria-label={label}
        disabled={to === null}
        onClick={() => to && change(to)}
      >
        {children}
      </ActionIcon>
    </Tooltip>
  );
}
