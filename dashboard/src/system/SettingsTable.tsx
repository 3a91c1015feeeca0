import { Code, Table, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { Empty } from "../ui/States";
import classes from "./System.module.css";
import { filtered, settingsOf } from "./settings";

/** The settings in force. */
export function SettingsTable({ settings }: { settings: Readonly<Record<string, unknown>> }) {
  const [filter, setFilter] = useState("");
  const all = useMemo(() => settingsOf(settings), [settings]);
  const found = filtered(all, filter);
  return (
    <>
      <p className={classes.lead}>
        What this process runs with. Secrets are masked. <Code>tailrace config show</Code> also says what each
        does and where it came from.
      </p>
      <TextInput
        value={filter}
        onChange={(event) => setFilter(event.currentTarget.value)}
        leftSection={<IconSearch size={16} stroke={1.7} aria-hidden />}
        placeholder="Filter"
        aria-label="Filter settings"
        maw={360}
        mb="sm"
      />
      {found.length === 0 ? (
        <Empty title="No setting has that in its name or value" />
      ) : (
        <Table className={classes.table} maw={860}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Setting</Table.Th>
              <Table.Th>Value</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {found.map(({ name, value }) => (
              <Table.Tr key={name}>
                <Table.Td className={classes.exact}>{name}</Table.Td>
                <Table.Td className={classes.exact} data-unset={value === "not set"}>
                  {value}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </>
  );
}
