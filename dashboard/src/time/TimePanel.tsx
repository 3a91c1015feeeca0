import { Button, NativeSelect, Text, TextInput } from "@mantine/core";
import { type FormEvent, useMemo, useState } from "react";
import { lengthName, spanLabel } from "./label";
import { parseRange, TIME_EXAMPLES, wordsOfSpan } from "./parse";
import type { TimeSpan, TimeWords } from "./range";
import classes from "./TimePicker.module.css";
import {
  BROWSER_ZONE,
  chooseZone,
  formatTime,
  instantOf,
  offsetText,
  useChosenZone,
  useZone,
  zones,
} from "./zone";

const QUICK: readonly (readonly [string, TimeWords])[] = [
  ["5 minutes", { start: "5m", end: "" }],
  ["15 minutes", { start: "15m", end: "" }],
  ["30 minutes", { start: "30m", end: "" }],
  ["1 hour", { start: "1h", end: "" }],
  ["3 hours", { start: "3h", end: "" }],
  ["6 hours", { start: "6h", end: "" }],
  ["12 hours", { start: "12h", end: "" }],
  ["24 hours", { start: "1d", end: "" }],
  ["7 days", { start: "7d", end: "" }],
  ["30 days", { start: "30d", end: "" }],
  ["Today", { start: "today", end: "" }],
  ["Yesterday", { start: "yesterday", end: "yesterday" }],
];

interface TimePanelProps {
  span: TimeSpan;
  choose(words: TimeWords): void;
}

export function TimePanel({ span, choose }: TimePanelProps) {
  const zone = useZone();
  return (
    <>
      <TypedTime choose={choose} />
      <section aria-label="Quick ranges" className={classes.quick}>
        {QUICK.map(([label, words]) => (
          <Button key={label} variant="default" size="compact-sm" onClick={() => choose(words)}>
            {label}
          </Button>
        ))}
        <Button
          variant="default"
          size="compact-sm"
          className={classes.all}
          onClick={() => choose({ start: "", end: "" })}
        >
          All time
        </Button>
      </section>
      <ExactTime key={zone} span={span} choose={choose} />
      <ZoneChoice />
    </>
  );
}

/** Free words, with what they mean shown while they are typed. */
function TypedTime({ choose }: { choose(words: TimeWords): void }) {
  const [text, setText] = useState("");
  const zone = useZone();
  const understood = text.trim() === "" ? null : parseRange(text, Date.now(), zone);
  const meaning =
    text.trim() === "" ? `Such as ${TIME_EXAMPLES}` : understood ? said(understood.span, zone) : "";

  function entered(event: FormEvent) {
    event.preventDefault();
    if (understood) choose(understood.words);
  }

  return (
    <form onSubmit={entered}>
      <TextInput
        label="Type a time"
        placeholder="yesterday 14:00 to 15:30"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        autoComplete="off"
        spellCheck={false}
        data-autofocus
      />
      <Text size="xs" className={classes.meaning} role="status">
        {meaning || `This is not a time. Try ${TIME_EXAMPLES}`}
      </Text>
    </form>
  );
}

function said(span: TimeSpan, zone: string): string {
  if (span.startMs === undefined) {
    return span.endMs === undefined ? "All time" : `Until ${formatTime(span.endMs, zone, "second")}`;
  }
  const endMs = span.endMs ?? Date.now();
  const minutes = Math.round((endMs - span.startMs) / 60_000);
  const length = minutes > 0 && minutes < 100 * 1440 ? `, ${lengthName(minutes * 60_000)}` : "";
  const round = (ms: number) => Math.round(ms / 1000) * 1000;
  return `${spanLabel(round(span.startMs), round(endMs), zone)}${length.replace(", hour", ", 1 hour")}`;
}

/** From and to by the browser's own calendar, in the chosen zone. */
function ExactTime({ span, choose }: TimePanelProps) {
  const zone = useZone();
  const [from, setFrom] = useState(() => wallText(span.startMs ?? Date.now() - 3_600_000, zone));
  const [to, setTo] = useState(() => wallText(span.endMs ?? Date.now(), zone));
  const [startMs, endMs] = [instantOfWall(from, zone), instantOfWall(to, zone)];
  const isRange = startMs !== undefined && endMs !== undefined && startMs < endMs;

  function entered(event: FormEvent) {
    event.preventDefault();
    if (isRange) choose(wordsOfSpan({ startMs, endMs }));
  }

  return (
    <form onSubmit={entered} className={classes.exact}>
      <TextInput
        type="datetime-local"
        step={1}
        label="From"
        value={from}
        onChange={(event) => setFrom(event.currentTarget.value)}
      />
      <TextInput
        type="datetime-local"
        step={1}
        label="To"
        value={to}
        onChange={(event) => setTo(event.currentTarget.value)}
        error={isRange ? undefined : "Must be after the start"}
      />
      <Button type="submit" disabled={!isRange} variant="light">
        Use these times
      </Button>
    </form>
  );
}

function wallText(ms: number, zone: string): string {
  return formatTime(ms, zone, "second").replace(" ", "T");
}

function instantOfWall(text: string, zone: string): number | undefined {
  const wallMs = Date.parse(`${text}Z`);
  return Number.isNaN(wallMs) ? undefined : instantOf(wallMs, zone);
}

function ZoneChoice() {
  const chosen = useChosenZone();
  const choices = useMemo(() => {
    const nowMs = Date.now();
    const named = (zone: string) => {
      const offset = offsetText(nowMs, zone);
      return zone === offset ? zone : `${zone.replaceAll("_", " ")} (${offset})`;
    };
    return [
      { value: "", label: `As this browser: ${named(BROWSER_ZONE)}` },
      { value: "UTC", label: "UTC" },
      ...zones()
        .filter((each) => each !== "UTC")
        .map((each) => ({ value: each, label: named(each) })),
    ];
  }, []);
  return (
    <NativeSelect
      label="Zone of all times"
      data={choices}
      value={chosen}
      onChange={(event) => chooseZone(event.currentTarget.value)}
    />
  );
}
