import { Button, Tooltip } from "@mantine/core";
import { IconEraser, IconPlayerPause, IconPlayerPlay, IconSearch, IconTextWrap } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { memo } from "react";
import { ConnectionState } from "./ConnectionState";
import { HighlightRules } from "./HighlightRules";
import type { Rule } from "./highlight";
import classes from "./Live.module.css";
import { RateLine } from "./RateLine";
import type { TailClient } from "./tail-client";
import { useTailPart } from "./useTail";

interface LiveBarProps {
  client: TailClient;
  q: string;
  rules: readonly Rule[];
  changeRules: (rules: readonly Rule[]) => void;
  wrap: boolean;
  toggleWrap: () => void;
  togglePause: () => void;
}

/** How the tail goes, and what can be done with it. */
export function LiveBar(props: LiveBarProps) {
  const { client, q, rules, changeRules, wrap, toggleWrap, togglePause } = props;
  const connection = useTailPart(client, "connection");
  const hold = useTailPart(client, "hold");
  return (
    <div className={classes.bar}>
      <ConnectionState connection={connection} hold={hold} />
      <Counts client={client} />
      <div className={classes.tools}>
        <Button
          variant={hold === null ? "default" : "filled"}
          size="compact-md"
          onClick={togglePause}
          aria-label={hold === null ? "Pause" : "Go on"}
          leftSection={
            hold === null ? (
              <IconPlayerPause size={16} stroke={1.7} aria-hidden />
            ) : (
              <IconPlayerPlay size={16} stroke={1.7} aria-hidden />
            )
          }
        >
          <span className={classes.wide}>{hold === null ? "Pause" : "Go on"}</span>
        </Button>
        <HighlightRules rules={rules} change={changeRules} />
        <Button
          variant={wrap ? "light" : "default"}
          size="compact-md"
          aria-pressed={wrap}
          aria-label="Wrap long lines"
          onClick={toggleWrap}
          leftSection={<IconTextWrap size={16} stroke={1.7} aria-hidden />}
        >
          <span className={classes.wide}>Wrap</span>
        </Button>
        <Button
          variant="default"
          size="compact-md"
          aria-label="Clear the list"
          onClick={client.clear}
          leftSection={<IconEraser size={16} stroke={1.7} aria-hidden />}
        >
          <span className={classes.wide}>Clear</span>
        </Button>
        <Button
          variant="default"
          size="compact-md"
          aria-label="Search these"
          leftSection={<IconSearch size={16} stroke={1.7} aria-hidden />}
          renderRoot={(root) => <Link {...root} to="/" search={{ q, start: "15m" }} />}
        >
          <span className={classes.wide}>Search these</span>
        </Button>
      </div>
    </div>
  );
}

function Counts({ client }: { client: TailClient }) {
  const { perSecond, received, missed, dropped } = useTailPart(client, "figures");
  return (
    <>
      <RateLine perSecond={perSecond} />
      <span className={classes.count}>
        <span className={classes.figure}>{number(received)}</span> <span className={classes.unit}>lines</span>
      </span>
      <Skipped missed={missed} dropped={dropped} />
    </>
  );
}

const Skipped = memo(function Skipped({ missed, dropped }: { missed: number; dropped: number }) {
  const skipped = missed + dropped;
  return (
    <Tooltip
      multiline
      w={300}
      label={`Events that were never on this page: ${number(missed)} that the server left out, as they were not read fast enough, and ${number(dropped)} that made room for newer ones before they could be shown. All of them are in search.`}
    >
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the explanation must be reached by keys */}
      <span className={classes.skipped} data-any={skipped > 0} tabIndex={0}>
        <span className={classes.figure}>{number(skipped)}</span> skipped
      </span>
    </Tooltip>
  );
});

function number(count: number): string {
  return count.toLocaleString("en");
}
