import { Button, Menu, Text, VisuallyHidden } from "@mantine/core";
import { IconCheck, IconDownload, IconLink, IconTerminal2 } from "@tabler/icons-react";
import type { SearchState } from "../search-state";
import { useCopy } from "../ui/Copy";
import { asCommand, asCurl, exportUrl, FORMATS, fileName } from "./exports";
import type { Run, SearchActions } from "./run";

/** Takes every event of the search elsewhere: as a file, as a command, or as a link. */
export function ExportMenu({ run }: { run: Run; state: SearchState; actions: SearchActions }) {
  const { copy, outcome } = useCopy();
  const said = {
    none: "",
    copied: "Copied",
    refused: "The browser does not allow copying here",
  }[outcome];
  const origin = window.location.origin;
  return (
    <>
      <Menu position="bottom-end" width={270}>
        <Menu.Target>
          <Button
            variant="default"
            size="xs"
            leftSection={
              outcome === "copied" ? (
                <IconCheck size={15} stroke={2} />
              ) : (
                <IconDownload size={15} stroke={1.7} />
              )
            }
            title={said || "All lines of this search, as a file or a command"}
          >
            Export
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>All lines of this search</Menu.Label>
          {FORMATS.map((each) => (
            <Menu.Item
              key={each.format}
              component="a"
              href={exportUrl(run, each.format)}
              download={fileName(run, each.format)}
              leftSection={<IconDownload size={16} stroke={1.7} />}
            >
              {each.label}
              <Text size="xs" c="dimmed">
                {each.for}
              </Text>
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item
            leftSection={<IconTerminal2 size={16} stroke={1.7} />}
            onClick={() => copy(asCurl(run, origin))}
          >
            Copy as curl
          </Menu.Item>
          <Menu.Item
            leftSection={<IconTerminal2 size={16} stroke={1.7} />}
            onClick={() => copy(asCommand(run, origin))}
          >
            Copy as a tailrace command
          </Menu.Item>
          <Menu.Item
            leftSection={<IconLink size={16} stroke={1.7} />}
            onClick={() => copy(window.location.href)}
          >
            Copy the link
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <VisuallyHidden role="status">{said}</VisuallyHidden>
    </>
  );
}
