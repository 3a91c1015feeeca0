import { Button, Group } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import type { LogEvent } from "../api/client";
import { addFilter } from "../query/edit";
import { formatTime } from "../time/zone";
import { CopyButton } from "../ui/Copy";
import { LogText, LongLogText } from "../ui/LogText";
import classes from "./Live.module.css";

interface RowDetailsProps {
  seq: number;
  q: string;
  zone: string;
  read: (seq: number) => Promise<LogEvent | undefined>;
  setQuery: (q: string) => void;
}

/** All fields of a line. */
export function RowDetails({ seq, q, zone, read, setQuery }: RowDetailsProps) {
  const [event, setEvent] = useState<LogEvent | "asked" | "gone">("asked");
  useEffect(() => {
    let isWanted = true;
    void read(seq).then((found) => isWanted && setEvent(found ?? "gone"));
    return () => {
      isWanted = false;
    };
  }, [seq, read]);
  if (event === "asked") return <div className={classes.details} aria-busy />;
  if (event === "gone")
    return <div className={classes.details}>This line is not kept any more. Search has it.</div>;
  return (
    <div className={classes.details}>
      <LongLogText text={event.message} />
      <dl className={classes.fields}>
        {fieldsOf(event, zone).map(({ name, value, filter }) => (
          <div key={name} className={classes.field}>
            <dt>
              <LogText text={name} lengthMax={200} />
            </dt>
            <dd>
              <LongLogText text={value} lengthMax={500} />
            </dd>
            {filter && (
              <div className={classes.fieldTools}>
                <button
                  type="button"
                  aria-label={`Only lines with this ${name}`}
                  onClick={() => setQuery(addFilter(q, name, value, "for"))}
                >
                  only
                </button>
                <button
                  type="button"
                  aria-label={`No lines with this ${name}`}
                  onClick={() => setQuery(addFilter(q, name, value, "out"))}
                >
                  without
                </button>
              </div>
            )}
          </div>
        ))}
      </dl>
      <Group gap="xs">
        <Button
          size="compact-sm"
          variant="default"
          renderRoot={(props) => (
            <Link
              {...props}
              to="/"
              search={{
                q,
                start: event.timestamp,
                end: event.timestamp,
                open: `${event.id}@${event.timestamp}`,
              }}
            />
          )}
        >
          Open in search
        </Button>
        <CopyButton text={() => JSON.stringify(event, null, 2)} label="Copy as JSON" />
      </Group>
    </div>
  );
}

interface Field {
  name: string;
  value: string;
  /** Whether it makes sense to ask for lines with the same. */
  filter: boolean;
}

function fieldsOf(event: LogEvent, zone: string): Field[] {
  const own = ["level", "service", "host", "trace_id", "span_id"] as const;
  return [
    {
      name: "timestamp",
      value: `${formatTime(event.timestamp, zone, "microsecond")} ${zone}`,
      filter: false,
    },
    ...own.flatMap((name) => {
      const value = event[name];
      return value === null ? [] : [{ name, value, filter: true }];
    }),
    ...Object.entries(event.attributes).map(([name, value]) => ({ name, value, filter: value !== "" })),
    { name: "id", value: event.id, filter: false },
  ];
}
