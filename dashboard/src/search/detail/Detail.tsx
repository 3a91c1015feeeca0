import { ActionIcon, Menu, Skeleton, Stack, Tabs, Text, Tooltip } from "@mantine/core";
import { IconCheck, IconChevronDown, IconChevronUp, IconCopy, IconX } from "@tabler/icons-react";
import { useEffect, useMemo, useRef } from "react";
import { type LogEvent, Problem } from "../../api/client";
import type { SearchState } from "../../search-state";
import { formatTime, offsetText, useZone } from "../../time/zone";
import { useCopy } from "../../ui/Copy";
import { LongLogText } from "../../ui/LogText";
import { levelText } from "../../ui/levels";
import { Empty, Failure } from "../../ui/States";
import { highlights } from "../results/highlight";
import type { Run, SearchActions } from "../run";
import { Context } from "./Context";
import classes from "./Detail.module.css";
import { FieldTable } from "./FieldTable";
import { Splitter, useDetailWidth } from "./Splitter";
import { jsonText, lineText, prettyJson } from "./texts";
import { useEvent } from "./useEvent";

export type DetailTab = "fields" | "json" | "context";

interface DetailProps {
  openKey: string;
  run: Run;
  state: SearchState;
  actions: SearchActions;
  tab: DetailTab;
  setTab: (tab: DetailTab) => void;
  /** Whether it stands beside the table, or covers it. */
  isBeside: boolean;
  close: () => void;
  /** Goes so many rows on; undefined while the opened line is not in the table. */
  step: ((rows: number) => void) | undefined;
}

/** The opened line: its whole message, its fields, its JSON, and the lines around it. */
export function Detail(props: DetailProps) {
  const { openKey, run, state, actions, tab, isBeside } = props;
  const asked = useEvent(openKey);
  const { widthPx, setWidthPx } = useDetailWidth();
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    if (!isBeside) panel.current?.focus();
  }, [isBeside]);
  const event = asked.data;
  return (
    <section
      ref={panel}
      className={classes.panel}
      data-beside={isBeside}
      aria-label="Opened line"
      tabIndex={-1}
      style={isBeside ? { width: widthPx } : {}}
    >
      {isBeside && <Splitter widthPx={widthPx} setWidthPx={setWidthPx} />}
      <Head {...props} event={event} />
      <div className={classes.body} data-scroller>
        {asked.error && <NotHere error={asked.error} retry={() => void asked.refetch()} />}
        {!event && !asked.error && (
          <Stack p="md" gap="sm" aria-busy>
            <Skeleton h={40} />
            <Skeleton h={240} />
          </Stack>
        )}
        {event && (
          <>
            <Message key={openKey} event={event} q={run.q} />
            <Tabs
              value={tab}
              onChange={(chosen) => props.setTab((chosen ?? "fields") as DetailTab)}
              keepMounted={false}
              className={classes.tabs ?? ""}
            >
              <Tabs.List>
                <Tabs.Tab value="fields">Fields</Tabs.Tab>
                <Tabs.Tab value="context">Lines around</Tabs.Tab>
                <Tabs.Tab value="json">JSON</Tabs.Tab>
              </Tabs.List>
              <Tabs.Panel value="fields">
                <FieldTable event={event} run={run} state={state} actions={actions} />
              </Tabs.Panel>
              <Tabs.Panel value="context">
                <Context
                  key={event.id}
                  event={event}
                  openKey={openKey}
                  open={(key) => actions.change({ open: key })}
                />
              </Tabs.Panel>
              <Tabs.Panel value="json">
                <div className={classes.code}>
                  <LongLogText text={jsonText(event)} lengthMax={20_000} />
                </div>
              </Tabs.Panel>
            </Tabs>
          </>
        )}
      </div>
    </section>
  );
}

function Head({ event, close, step }: DetailProps & { event: LogEvent | undefined }) {
  const zone = useZone();
  return (
    <header className={classes.head}>
      <div className={classes.title}>
        {event && (
          <>
            <Text span fw={700} size="sm" style={{ color: levelText(event.level) }}>
              {event.level ?? "No level"}
            </Text>
            <time dateTime={event.timestamp}>
              {formatTime(event.timestamp, zone, "microsecond")}{" "}
              <span>{offsetText(Date.parse(event.timestamp), zone)}</span>
            </time>
          </>
        )}
      </div>
      {step && <Tool label="Line before (k)" act={() => step(-1)} icon={IconChevronUp} />}
      {step && <Tool label="Next line (j)" act={() => step(1)} icon={IconChevronDown} />}
      {event && <CopyMenu event={event} />}
      <Tool label="Close (Esc)" act={close} icon={IconX} />
    </header>
  );
}

function Tool({ label, act, icon: Icon }: { label: string; act: () => void; icon: typeof IconX }) {
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" aria-label={label} onClick={act}>
        <Icon size={17} stroke={1.7} />
      </ActionIcon>
    </Tooltip>
  );
}

function CopyMenu({ event }: { event: LogEvent }) {
  const { copy, outcome } = useCopy();
  const said = outcome === "refused" ? "The browser does not allow copying here" : "Copied";
  return (
    <Menu position="bottom-end" width={190}>
      <Menu.Target>
        <ActionIcon
          variant="subtle"
          color="gray"
          aria-label="Copy"
          title={outcome === "none" ? "Copy" : said}
        >
          {outcome === "copied" ? <IconCheck size={17} stroke={2} /> : <IconCopy size={17} stroke={1.7} />}
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => copy(event.message)}>Copy the message</Menu.Item>
        <Menu.Item onClick={() => copy(lineText(event))}>Copy the line</Menu.Item>
        <Menu.Item onClick={() => copy(jsonText(event))}>Copy as JSON</Menu.Item>
        <Menu.Item onClick={() => copy(window.location.href)}>Copy the link to it</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Message({ event, q }: { event: LogEvent; q: string }) {
  const patterns = useMemo(() => highlights(q).message, [q]);
  const pretty = useMemo(() => prettyJson(event.message), [event.message]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a long message is scrolled, by keys too
    <section className={classes.message} aria-label="Message" tabIndex={0}>
      <LongLogText text={pretty ?? event.message} patterns={patterns} />
    </section>
  );
}

function NotHere({ error, retry }: { error: Error; retry: () => void }) {
  if (!(error instanceof Problem) || error.status !== 404) return <Failure error={error} retry={retry} />;
  return (
    <Empty title="This line is not here">
      <Text size="sm">
        It may have been deleted when its time was over. The other lines are in the table.
      </Text>
    </Empty>
  );
}
