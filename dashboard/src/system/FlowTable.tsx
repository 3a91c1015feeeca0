import { Table } from "@mantine/core";
import classes from "./Flow.module.css";
import type { Flow } from "./flow";
import { rateText } from "./numbers";

/** The picture in words, for those who do not see it, or want to copy it. */
export function FlowTable({ flow }: { flow: Flow }) {
  const titles = new Map(
    flow.boxes.map((box) => [box.id, box.id.startsWith("worker") ? `${box.title}, ${box.about}` : box.title]),
  );
  return (
    <details className={classes.asTable}>
      <summary>The same as a table</summary>
      <Table className={classes.table}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>From</Table.Th>
            <Table.Th>To</Table.Th>
            <Table.Th ta="right">Events, or queries, a second</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {flow.arrows.map(({ from, to, perSecond }) => (
            <Table.Tr key={`${from} ${to}`}>
              <Table.Td>{titles.get(from)}</Table.Td>
              <Table.Td>{titles.get(to)}</Table.Td>
              <Table.Td ta="right">{rateText(perSecond)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </details>
  );
}
