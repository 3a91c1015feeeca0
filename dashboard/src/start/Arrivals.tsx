import { Button, Group } from "@mantine/core";
import { IconBroadcast, IconSearch } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { formatTime, useZone } from "../time/zone";
import { LogText } from "../ui/LogText";
import { levelText } from "../ui/levels";
import classes from "./Start.module.css";
import type { Arrivals as Arrived } from "./useArrivals";

/** Waits for the first event, and shows the newest ones from then on. */
export function Arrivals({ arrived }: { arrived: Arrived | undefined }) {
  const zone = useZone();
  const isAlive = arrived !== undefined && arrived.count > 0;
  return (
    <section className={classes.arrivals} data-alive={isAlive} aria-label="What has arrived">
      <div className={classes.arrivalsHead}>
        <span className={classes.pulse} aria-hidden />
        <p role="status" className={classes.state}>
          {isAlive ? "Events are here" : "Waiting for the first event"}
        </p>
        {isAlive && <span className={classes.count}>{arrived.count.toLocaleString("en")} so far</span>}
        {isAlive && (
          <Group gap="xs" className={classes.next}>
            <Button
              leftSection={<IconSearch size={16} stroke={1.8} aria-hidden />}
              renderRoot={(root) => <Link {...root} to="/" search={{ start: "15m" }} />}
            >
              Search them
            </Button>
            <Button
              variant="default"
              leftSection={<IconBroadcast size={16} stroke={1.8} aria-hidden />}
              renderRoot={(root) => <Link {...root} to="/live" />}
            >
              Watch live
            </Button>
          </Group>
        )}
      </div>
      <ul className={classes.events}>
        {arrived?.newest.map((event) => (
          <li key={event.id} className={classes.event}>
            <time dateTime={event.timestamp}>{formatTime(event.timestamp, zone)}</time>
            <span style={{ color: levelText(event.level) }}>{event.level ?? "–"}</span>
            <span className={classes.message}>
              <LogText text={event.message} lengthMax={300} />
            </span>
          </li>
        ))}
        {!isAlive && (
          <li className={classes.hint}>They show here by themselves. There is nothing to reload.</li>
        )}
      </ul>
    </section>
  );
}
