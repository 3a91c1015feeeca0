import { Button, Menu, ScrollArea } from "@mantine/core";
import { IconBulb, IconHistory } from "@tabler/icons-react";
import { EXAMPLES } from "./examples";
import classes from "./StatementMenus.module.css";

export function ExampleMenu({ choose }: { choose: (query: string) => void }) {
  return (
    <Menu position="bottom-end" shadow="md" withinPortal>
      <Menu.Target>
        <Button size="xs" variant="default" leftSection={<IconBulb size={15} stroke={1.7} />}>
          Examples
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {EXAMPLES.map((each) => (
          <Menu.Item key={each.title} onClick={() => choose(each.query)}>
            {each.title}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

export function HistoryMenu({
  history,
  choose,
}: {
  history: readonly string[];
  choose: (query: string) => void;
}) {
  return (
    <Menu position="bottom-end" shadow="md" width={480} withinPortal disabled={history.length === 0}>
      <Menu.Target>
        <Button
          size="xs"
          variant="default"
          disabled={history.length === 0}
          leftSection={<IconHistory size={15} stroke={1.7} />}
        >
          History
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <ScrollArea.Autosize mah={420}>
          {history.map((each) => (
            <Menu.Item key={each} onClick={() => choose(each)}>
              <span className={classes.past}>{each.replace(/\s+/g, " ")}</span>
            </Menu.Item>
          ))}
        </ScrollArea.Autosize>
      </Menu.Dropdown>
    </Menu>
  );
}
