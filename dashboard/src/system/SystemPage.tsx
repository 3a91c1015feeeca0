import { Tabs } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useLocation, useNavigate } from "@tanstack/react-router";
import { get } from "../api/client";
import { page } from "../page";
import { Failure } from "../ui/States";
import { DeadLetters } from "./DeadLetters";
import { FlowPicture } from "./FlowPicture";
import { FlowTable } from "./FlowTable";
import { flowOf } from "./flow";
import { countText } from "./numbers";
import { Places } from "./Places";
import type { Change } from "./polls";
import { SettingsTable } from "./SettingsTable";
import { Stores } from "./Stores";
import { Summary } from "./Summary";
import classes from "./System.module.css";
import { usePolls } from "./usePolls";

const TABS = ["flow", "dead-letters", "stores", "settings"] as const;

export function SystemPage() {
  const { change, error, again } = usePolls();
  const hash = useLocation({ select: (location) => location.hash });
  const navigate = useNavigate({ from: "/system" });
  const tab = TABS.find((each) => each === hash) ?? "flow";
  if (!change) {
    return error ? <Failure error={error} retry={again} /> : <div className={classes.waiting} aria-busy />;
  }
  const { status } = change.now;
  const letters = status.dead_letters;
  return (
    <div className={classes.page}>
      <header className={classes.head}>
        <h1 className={classes.title}>System</h1>
        <Summary change={change} />
      </header>
      <Tabs
        value={tab}
        onChange={(to) => void navigate({ hash: to === "flow" ? "" : (to ?? ""), replace: true })}
        keepMounted={false}
      >
        <Tabs.List className={classes.tabs}>
          <Tabs.Tab value="flow">What flows where</Tabs.Tab>
          {letters !== null && (
            <Tabs.Tab value="dead-letters">
              Dead letters{" "}
              <span className={classes.badge} data-any={letters > 0}>
                {countText(letters)}
              </span>
            </Tabs.Tab>
          )}
          <Tabs.Tab value="stores">Stores</Tabs.Tab>
          <Tabs.Tab value="settings">Settings</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="flow" pt="lg">
          <FlowTab change={change} />
        </Tabs.Panel>
        {letters !== null && (
          <Tabs.Panel value="dead-letters" pt="lg">
            <DeadLetters count={letters} />
          </Tabs.Panel>
        )}
        <Tabs.Panel value="stores" pt="lg">
          <Stores change={change} />
        </Tabs.Panel>
        <Tabs.Panel value="settings" pt="lg">
          <SettingsTable settings={status.settings} />
        </Tabs.Panel>
      </Tabs>
    </div>
  );
}

function FlowTab({ change }: { change: Change }) {
  const demoRate = useDemoRate();
  const hasGateway =
    page.features.includes("ingest") || (change.value("tailrace_bytes_received_total") ?? 0) > 0;
  const flow = flowOf(change, { hasGateway, demoRate });
  return (
    <>
      <Places />
      <FlowPicture flow={flow} />
      <FlowTable flow={flow} />
    </>
  );
}

/** Events a second that the demo generator makes; null where it does not run. */
function useDemoRate(): number | null {
  const asked = useQuery({
    queryKey: ["demo"],
    queryFn: ({ signal }) => get<{ running: boolean; rate: number }>("/api/demo", {}, signal),
    enabled: page.features.includes("demo"),
    refetchInterval: 5_000,
  });
  return asked.data?.running ? asked.data.rate : null;
}
