import { ActionIcon, Menu, TextInput } from "@mantine/core";
import {
  IconCheck,
  IconCopy,
  IconDatabase,
  IconDots,
  IconLink,
  IconPencil,
  IconSearch,
  IconTrash,
} from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { formatTime, useZone } from "../time/zone";
import { useCopy } from "../ui/Copy";
import { LogText } from "../ui/LogText";
import { NAME_CHARACTERS_MAX, type Saved } from "./api";
import { linkTo, summary } from "./links";
import classes from "./SavedPage.module.css";

interface SavedRowProps {
  saved: Saved;
  rename: (name: string) => Promise<unknown>;
  duplicate: () => void;
  remove: () => void;
}

export function SavedRow({ saved, rename, duplicate, remove }: SavedRowProps) {
  const [renaming, setRenaming] = useState(false);
  const zone = useZone();
  const { copy, outcome } = useCopy();
  const Icon = saved.kind === "sql" ? IconDatabase : IconSearch;
  return (
    <tr>
      <td className={classes.name}>
        {renaming ? (
          <RenameForm name={saved.name} rename={rename} done={() => setRenaming(false)} />
        ) : (
          <Link to="/saved/$id" params={{ id: saved.id }}>
            <LogText text={saved.name} />
          </Link>
        )}
      </td>
      <td className={classes.kind}>
        <Icon size={15} stroke={1.7} aria-hidden /> {saved.kind === "sql" ? "SQL" : "Search"}
      </td>
      <td className={classes.query}>
        <LogText text={summary(saved)} lengthMax={300} />
      </td>
      <td className={classes.changed}>
        <time dateTime={saved.updated}>{formatTime(saved.updated, zone, "minute")}</time>
      </td>
      <td className={classes.actions}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size={28}
          aria-label={`Copy the link of ${saved.name}`}
          onClick={() => copy(linkTo(saved.id))}
        >
          {outcome === "copied" ? <IconCheck size={16} /> : <IconLink size={16} stroke={1.7} />}
        </ActionIcon>
        {/* The field to rename in takes the focus, and gives it back when it goes. */}
        <Menu position="bottom-end" shadow="md" withinPortal returnFocus={!renaming}>
          <Menu.Target>
            <ActionIcon variant="subtle" color="gray" size={28} aria-label={`More for ${saved.name}`}>
              <IconDots size={16} stroke={1.7} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item leftSection={<IconPencil size={15} />} onClick={() => setRenaming(true)}>
              Rename
            </Menu.Item>
            <Menu.Item leftSection={<IconCopy size={15} />} onClick={duplicate}>
              Duplicate
            </Menu.Item>
            <Menu.Divider />
            <Menu.Item color="var(--bad)" leftSection={<IconTrash size={15} />} onClick={remove}>
              Delete
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </td>
    </tr>
  );
}

function RenameForm({
  name,
  rename,
  done,
}: {
  name: string;
  rename: (name: string) => Promise<unknown>;
  done: () => void;
}) {
  const [text, setText] = useState(name);
  function submit(event: FormEvent) {
    event.preventDefault();
    const wanted = text.trim();
    if (wanted === "" || wanted === name) return done();
    rename(wanted).then(done, () => undefined); // the page tells what went wrong
  }
  return (
    <form onSubmit={submit}>
      <TextInput
        size="xs"
        aria-label={`New name of ${name}`}
        autoFocus
        maxLength={NAME_CHARACTERS_MAX}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onFocus={(event) => event.currentTarget.select()}
        onBlur={done}
        onKeyDown={(event) => event.key === "Escape" && done()}
      />
    </form>
  );
}
