import { NativeSelect } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, type Schemas } from "../../api/client";
import { apiSpan } from "../../time/range";
import { visible } from "../../ui/visible";
import type { Run } from "../run";
import classes from "./Histogram.module.css";

const USUAL = ["level", "service", "host"];
/** Split by these, nearly every event would be a series of its own. */
const USELESS = new Set(["message", "timestamp", "observed_timestamp", "trace_id", "span_id"]);

interface SplitChoiceProps {
  run: Run;
  by: string;
  split(by: string): void;
}

/** The field that the bars are split by. The server is asked for the fields once somebody comes near. */
export function SplitChoice({ run, by, split }: SplitChoiceProps) {
  const [isNear, setNear] = useState(false);
  const fields = useQuery({
    queryKey: ["fields to split by", run.q, run.span],
    queryFn: ({ signal }) =>
      get<Schemas["Fields"]>("/api/fields", { q: run.q, ...apiSpan(run.span) }, signal),
    enabled: isNear,
  });
  const names = (fields.data?.fields ?? []).map((each) => each.name).filter((each) => !USELESS.has(each));
  const all = [...new Set([...USUAL, ...(by === "" ? [] : [by]), ...names])];
  return (
    <NativeSelect
      size="xs"
      className={classes.split ?? ""}
      aria-label="Split the bars by"
      title="Split the bars by"
      value={by}
      onChange={(event) => split(event.currentTarget.value)}
      onFocus={() => setNear(true)}
      onPointerEnter={() => setNear(true)}
      data={[
        ...all.map((each) => ({ value: each, label: `by ${visible(each, "one")}` })),
        { value: "", label: "not split" },
      ]}
    />
  );
}
