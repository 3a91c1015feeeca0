import { Kbd, Modal, Table } from "@mantine/core";
import { SHORTCUTS } from "./shortcuts";

export function Help({ opened, close }: { opened: boolean; close: () => void }) {
  return (
    <Modal opened={opened} onClose={close} title="Keys" size="md">
      <Table>
        <Table.Tbody>
          {SHORTCUTS.map((each) => (
            <Table.Tr key={each.keys}>
              <Table.Td w={120}>
                <Kbd>{each.keys}</Kbd>
              </Table.Td>
              <Table.Td>{each.does}</Table.Td>
              <Table.Td c="dimmed">{each.where}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}
