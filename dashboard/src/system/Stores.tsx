import { Table } from "@mantine/core";
import { number, record } from "./flow";
import { ageText, bytesText, countText } from "./numbers";
import type { Change } from "./polls";
import classes from "./System.module.css";

/** How much is kept, and for how long. */
export function Stores({ change }: { change: Change }) {
  const { stores, settings } = change.now.status;
  const letters = record(stores["dead letters"]);
  return (
    <div className={classes.cards}>
      {Object.entries(stores)
        .filter(([name]) => name !== "dead letters")
        .map(([name, figures]) => (
          <Card key={name} title={name === "lake" ? "Lake" : name}>
            {name === "lake" ? lakeFacts(change, figures) : plainFacts(figures)}
          </Card>
        ))}
      <Card title="Retention">{retentionFacts(record(settings.retention))}</Card>
      {"dead letters" in stores && (
        <Card title="Dead letters">
          {[
            ["letters", countText(number(letters.letters))],
            ["size", `${bytesText(number(letters.bytes))} of ${bytesText(number(letters.bytes_max))}`],
            ["pushed out, ever", countText(number(letters.pushed_out))],
          ]}
        </Card>
      )}
    </div>
  );
}

type Facts = [label: string, value: string][];

function Card({ title, children }: { title: string; children: Facts }) {
  return (
    <section className={classes.card}>
      <h2 className={classes.cardTitle}>{title}</h2>
      <Table className={classes.table} withRowBorders={false}>
        <Table.Tbody>
          {children.map(([label, value]) => (
            <Table.Tr key={label}>
              <Table.Th scope="row">{label}</Table.Th>
              <Table.Td ta="right">{value}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </section>
  );
}

function lakeFacts(change: Change, figures: Record<string, unknown>): Facts {
  const files = number(figures.files);
  const bytes = number(figures.bytes);
  const rows = number(figures.rows);
  return [
    ["events", countText(rows)],
    ["size", bytesText(bytes)],
    ["files", countText(files)],
    ["a file, on average", bytesText(files && bytes !== undefined ? bytes / files : undefined)],
    ["an event, on average", bytesText(rows && bytes !== undefined ? bytes / rows : undefined)],
    ["files joined since the start", countText(change.value("tailrace_lake_compactions_total"))],
    [
      "events deleted by retention since the start",
      countText(change.value("tailrace_lake_events_deleted_total")),
    ],
    ["damaged files", countText(change.value("tailrace_lake_damaged_files"))],
  ];
}

function plainFacts(figures: Record<string, unknown>): Facts {
  return Object.entries(figures).map(([name, value]) => [
    name,
    name === "bytes"
      ? bytesText(number(value))
      : typeof value === "number"
        ? countText(value)
        : String(value),
  ]);
}

function retentionFacts(retention: Record<string, unknown>): Facts {
  const ageS = number(retention.age_s);
  const bytesMax = number(retention.bytes_max);
  return [
    ["events are kept for", ageS === undefined ? "ever" : ageText(ageS)],
    ["the lake may grow to", bytesMax === undefined ? "any size" : bytesText(bytesMax)],
    ...Object.entries(record(retention.services)).map(([service, age]): [string, string] => [
      `events of ${service}`,
      ageText(number(age) ?? 0),
    ]),
  ];
}
