import { Text } from "@mantine/core";
import { IconAlertTriangle, IconCircleCheck } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { askReadiness } from "./readiness";
import classes from "./System.module.css";

/** Each place that the server cannot do without, and whether it works. */
export function Places() {
  const asked = useQuery({
    queryKey: ["readyz"],
    queryFn: ({ signal }) => askReadiness(signal),
    refetchInterval: 5_000,
  });
  const places = asked.data?.places ?? [];
  return (
    <ul className={classes.places} aria-label="Places">
      {places.map(({ name, ready, detail }) => (
        <li key={name} className={classes.place} data-ready={ready} data-warned={detail !== ""}>
          {ready && detail === "" ? (
            <IconCircleCheck size={16} stroke={2} aria-hidden />
          ) : (
            <IconAlertTriangle size={16} stroke={2} aria-hidden />
          )}
          <span>
            {name} {ready ? (detail === "" ? "works" : "works, but") : "does not work"}
            {detail !== "" && <Text className={classes.why}>{detail}</Text>}
          </span>
        </li>
      ))}
    </ul>
  );
}
