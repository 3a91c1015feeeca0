import { Button, Menu, SegmentedControl } from "@mantine/core";
import { IconChartHistogram, IconCheck, IconCopy, IconDownload, IconTable } from "@tabler/icons-react";
import { useEffect, useRef, useState } from "react";
import { Problem } from "../../api/client";
import { useCopy } from "../../ui/Copy";
import type { Answer, Row } from "../answer";
import { wholeText } from "../cells";
import { delimited, delimitedRow } from "../delimited";
import { download } from "../download";
import { count, duration, size } from "../figures";
import type { DownloadFormat } from "../useStatement";
import type { CellPlace } from "./moving";
import classes from "./ResultBar.module.css";

export type View = "table" | "chart";

interface ResultBarProps {
  answer: Answer;
  rows: readonly Row[];
  query: string;
  cell: CellPlace | null;
  view: View;
  show: (view: View) => void;
}

/** What came back, how long it took, and how to take it along. */
export function ResultBar({ answer, rows, query, cell, view, show }: ResultBarProps) {
  return (
    <div className={classes.bar}>
      <SegmentedControl
        size="xs"
        aria-label="Show the result as"
        value={view}
        onChange={(value) => show(value as View)}
        data={[
          { value: "table", label: <Labelled icon={IconTable} text="Table" /> },
          { value: "chart", label: <Labelled icon={IconChartHistogram} text="Chart" /> },
        ]}
      />
      <p className={classes.figures} role="status">
        <strong>{count(answer.rows.length, "row", "rows")}</strong>
        <span>{duration(answer.elapsedS)}</span>
        {answer.bytesRead !== null && <span>{size(answer.bytesRead)} read</span>}
        {answer.truncated && (
          <span className={classes.cut}>
            Cut at {answer.rows.length.toLocaleString("en")}: there are more. A download holds every row.
          </span>
        )}
      </p>
      <div className={classes.tools}>
        <CopyMenu answer={answer} rows={rows} cell={cell} />
        <DownloadMenu query={query} />
      </div>
    </div>
  );
}

function Labelled({ icon: Icon, text }: { icon: typeof IconTable; text: string }) {
  return (
    <span className={classes.labelled}>
      <Icon size={15} stroke={1.7} aria-hidden />
      {text}
    </span>
  );
}

function CopyMenu({ answer, rows, cell }: { answer: Answer; rows: readonly Row[]; cell: CellPlace | null }) {
  const { copy, outcome } = useCopy();
  const row = cell ? rows[cell.row] : undefined;
  return (
    <Menu position="bottom-end" shadow="md" withinPortal>
      <Menu.Target>
        <Button
          size="xs"
          variant="default"
          leftSection={outcome === "copied" ? <IconCheck size={15} /> : <IconCopy size={15} stroke={1.7} />}
        >
          {outcome === "refused" ? "Not allowed" : "Copy"}
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => copy(delimited(answer.columns, rows, "\t"))}>All rows as TSV</Menu.Item>
        <Menu.Item onClick={() => copy(delimited(answer.columns, rows, ","))}>All rows as CSV</Menu.Item>
        <Menu.Divider />
        <Menu.Item disabled={!row} onClick={() => row && copy(delimitedRow(row, "\t"))}>
          Chosen row as TSV
        </Menu.Item>
        <Menu.Item disabled={!row} onClick={() => row && cell && copy(wholeText(row[cell.column]))}>
          Chosen cell
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

const FORMATS: { format: DownloadFormat; label: string }[] = [
  { format: "csv", label: "CSV" },
  { format: "ndjson", label: "NDJSON, a row a line" },
  { format: "arrow", label: "Arrow stream, with types" },
];

function DownloadMenu({ query }: { query: string }) {
  const [bytes, setBytes] = useState<number | null>(null);
  const [failure, setFailure] = useState("");
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  async function start(format: DownloadFormat) {
    const control = new AbortController();
    running.current = control;
    setFailure("");
    setBytes(0);
    try {
      await download(query, format, setBytes, control.signal);
    } catch (error) {
      if (!control.signal.aborted) {
        setFailure(error instanceof Problem ? error.message : "The download broke off. Try again.");
      }
    }
    setBytes(null);
  }

  if (bytes !== null) {
    return (
      <Button size="xs" variant="default" onClick={() => running.current?.abort()}>
        Cancel download ({size(bytes)})
      </Button>
    );
  }
  return (
    <>
      {failure && (
        <span className={classes.cut} role="alert">
          {failure}
        </span>
      )}
      <Menu position="bottom-end" shadow="md" withinPortal>
        <Menu.Target>
          <Button size="xs" variant="default" leftSection={<IconDownload size={15} stroke={1.7} />}>
            Download
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {FORMATS.map((each) => (
            <Menu.Item key={each.format} onClick={() => void start(each.format)}>
              {each.label}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
