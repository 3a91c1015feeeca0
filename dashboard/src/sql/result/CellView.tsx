import { Button, Group, Modal, Text } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useCopy } from "../../ui/Copy";
import { LongLogText } from "../../ui/LogText";
import type { Column, Row } from "../answer";
import { spreadText, wholeText } from "../cells";
import { delimitedRow } from "../delimited";
import classes from "./CellView.module.css";

interface CellViewProps {
  columns: readonly Column[];
  /** What is opened; null: nothing. */
  opened: { row: Row; column: number } | null;
  close: () => void;
}

/** One value, whole, and its row to take along. It stays mounted while closed, so that the focus finds its way back. */
export function CellView({ columns, opened, close }: CellViewProps) {
  const about = opened && columns[opened.column];
  return (
    <Modal
      opened={opened !== null}
      onClose={close}
      size="xl"
      title={
        <>
          <bdi>{about?.name}</bdi>{" "}
          <Text span size="sm" c="dimmed">
            {about?.type}
          </Text>
        </>
      }
    >
      {opened && <Content columns={columns} row={opened.row} value={opened.row[opened.column]} />}
    </Modal>
  );
}

function Content({ columns, row, value }: { columns: readonly Column[]; row: Row; value: unknown }) {
  return (
    <>
      <section className={classes.value} aria-label="Value" tabIndex={-1}>
        {value === null || value === undefined ? (
          <Text c="dimmed">NULL</Text>
        ) : (
          <LongLogText text={spreadText(value)} />
        )}
      </section>
      <Group gap="xs" mt="md">
        <CopyChoice label="Copy value" text={() => wholeText(value)} />
        <CopyChoice label="Copy row as TSV" text={() => delimitedRow(row, "\t")} />
        <CopyChoice label="Copy row as CSV" text={() => delimitedRow(row, ",")} />
        <CopyChoice label="Copy row as JSON" text={() => rowAsJson(columns, row)} />
      </Group>
    </>
  );
}

function CopyChoice({ label, text }: { label: string; text: () => string }) {
  const { copy, outcome } = useCopy();
  return (
    <Button
      size="xs"
      variant="default"
      leftSection={outcome === "copied" ? <IconCheck size={14} /> : <IconCopy size={14} />}
      onClick={() => copy(text())}
    >
      {outcome === "copied" ? "Copied" : outcome === "refused" ? "Not allowed" : label}
    </Button>
  );
}

function rowAsJson(columns: readonly Column[], row: Row): string {
  return JSON.stringify(
    Object.fromEntries(columns.map((each, index) => [each.name, row[index] ?? null])),
    null,
    2,
  );
}
