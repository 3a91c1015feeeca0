import { Button, Code, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Problem } from "../api/client";
import classes from "./States.module.css";

/** What stands where nothing is to be shown, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Stack className={classes.state} gap="xs" role="status">
      <Text fw={600}>{title}</Text>
      {children}
    </Stack>
  );
}

/** An error in the server's words, and a way to go on. */
export function Failure({ error, retry }: { error: Error; retry?: () => void }) {
  const title = error instanceof Problem && error.status === 0 ? "No connection" : "This did not work";
  return (
    <Stack className={classes.state} gap="xs" role="alert">
      <Text fw={600}>{title}</Text>
      <Code className={classes.reason}>{error.message}</Code>
      {retry && (
        <Button variant="default" onClick={retry}>
          Try again
        </Button>
      )}
    </Stack>
  );
}
