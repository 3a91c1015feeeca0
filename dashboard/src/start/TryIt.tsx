import { Button, Text } from "@mantine/core";
import { IconPlayerPlay, IconPlayerStop, IconSend } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { get, put, type Schemas, send } from "../api/client";
import { page } from "../page";
import classes from "./Start.module.css";

/** Events without any setting up: one from this page, or the demo's. */
export function TryIt() {
  return (
    <div className={classes.tries}>
      <OneEvent />
      {page.features.includes("demo") && <Demo />}
    </div>
  );
}

function OneEvent() {
  const queries = useQueryClient();
  const sent = useMutation({
    mutationFn: () =>
      put("POST", "/logs", {
        level: "INFO",
        service: "dashboard",
        message: "Hello from the first page",
        browser: navigator.userAgent,
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["start"] }),
  });
  return (
    <div className={classes.try}>
      <Button
        variant="default"
        loading={sent.isPending}
        onClick={() => sent.mutate()}
        leftSection={<IconSend size={16} stroke={1.7} aria-hidden />}
      >
        Send one event from here
      </Button>
      <Text size="sm" c="dimmed" role="status">
        {sent.isError && `That did not work: ${sent.error.message}`}
        {sent.isSuccess && "It is stored: the server answers only when an event is on its disk."}
        {sent.isIdle && "The quickest way to see one arrive."}
      </Text>
    </div>
  );
}

function Demo() {
  const queries = useQueryClient();
  const asked = useQuery({
    queryKey: ["demo"],
    queryFn: ({ signal }) => get<Schemas["DemoFigures"]>("/api/demo", {}, signal),
    refetchInterval: 2_000,
  });
  const isRunning = asked.data?.running === true;
  const changed = useMutation({
    mutationFn: async () => {
      if (isRunning) await send("/api/demo", { method: "DELETE" });
      else await put("POST", "/api/demo", {});
    },
    onSettled: () => {
      void queries.invalidateQueries({ queryKey: ["demo"] });
      void queries.invalidateQueries({ queryKey: ["start"] });
    },
  });
  return (
    <div className={classes.try}>
      <Button
        variant={isRunning ? "default" : "filled"}
        loading={changed.isPending || asked.isPending}
        onClick={() => changed.mutate()}
        leftSection={
          isRunning ? (
            <IconPlayerStop size={16} stroke={1.7} aria-hidden />
          ) : (
            <IconPlayerPlay size={16} stroke={1.7} aria-hidden />
          )
        }
      >
        {isRunning ? "Stop the demo" : "Start the demo"}
      </Button>
      <Text size="sm" c="dimmed" role="status">
        {changed.isError && `That did not work: ${changed.error.message}`}
        {!changed.isError &&
          (isRunning
            ? `A made-up web shop is logging, ${asked.data?.rate.toLocaleString("en")} events a second.`
            : "A made-up web shop: twelve services, traces, and an incident every few minutes.")}
      </Text>
    </div>
  );
}
