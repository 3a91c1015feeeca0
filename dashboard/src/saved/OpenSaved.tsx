import { Anchor, Loader, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, Navigate, useParams } from "@tanstack/react-router";
import { Problem } from "../api/client";
import { readState } from "../search-state";
import { readSqlState } from "../sql/sql-state";
import { Empty, Failure } from "../ui/States";
import { getSaved } from "./api";

/** Where a link to something saved leads: on to the page that shows it. */
export function OpenSaved() {
  const { id } = useParams({ from: "/saved/$id" });
  const asked = useQuery({
    queryKey: ["saved", id],
    queryFn: ({ signal }) => getSaved(id, signal),
    staleTime: 0,
    gcTime: 0, // it may be changed by the next visit
  });
  if (asked.data?.kind === "sql") {
    return <Navigate to="/sql" search={readSqlState(asked.data.state)} replace />;
  }
  if (asked.data) return <Navigate to="/" search={readState(asked.data.state)} replace />;
  if (asked.error instanceof Problem && asked.error.status === 404) {
    return (
      <Empty title="This is not saved any more">
        <Text size="sm">Somebody may have deleted it, or the link is not whole.</Text>
        <Anchor component={Link} to="/saved">
          See what is saved
        </Anchor>
      </Empty>
    );
  }
  if (asked.error) return <Failure error={asked.error} retry={() => void asked.refetch()} />;
  return (
    <Empty title="Opening…">
      <Loader size="sm" />
    </Empty>
  );
}
