import { Anchor } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { Empty } from "./States";

export function NotFound() {
  return (
    <Empty title="There is no such page">
      <Anchor component={Link} to="/">
        Go to search
      </Anchor>
    </Empty>
  );
}
