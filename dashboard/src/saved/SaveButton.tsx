import { Anchor, Button, type ButtonProps, Group, Popover, Text, TextInput } from "@mantine/core";
import { IconBookmarkPlus } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { CopyButton } from "../ui/Copy";
import { type Kind, NAME_CHARACTERS_MAX, type Saved, useCreateSaved } from "./api";
import { linkTo } from "./links";

interface SaveButtonProps extends Pick<ButtonProps, "disabled" | "variant"> {
  kind: Kind;
  /** The page's state, as in its address; read when the name is given. */
  state: object;
  /** A name to begin with. */
  suggestion?: string;
}

/** Asks for a name and keeps the page's state on the server under it. */
export function SaveButton({ kind, state, suggestion = "", disabled, variant = "default" }: SaveButtonProps) {
  const [opened, setOpened] = useState(false);
  return (
    <Popover
      opened={opened}
      onChange={setOpened}
      position="bottom-end"
      width={320}
      shadow="md"
      trapFocus
      returnFocus
      withinPortal
    >
      <Popover.Target>
        <Button
          size="xs"
          variant={variant}
          disabled={disabled ?? false}
          leftSection={<IconBookmarkPlus size={15} stroke={1.7} />}
          onClick={() => setOpened(!opened)}
        >
          Save
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <SaveForm kind={kind} state={state} suggestion={suggestion} />
      </Popover.Dropdown>
    </Popover>
  );
}

function SaveForm({ kind, state, suggestion }: { kind: Kind; state: object; suggestion: string }) {
  const [name, setName] = useState(suggestion.slice(0, NAME_CHARACTERS_MAX));
  const create = useCreateSaved();
  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate({ name: name.trim(), kind, state: { ...state } });
  }
  if (create.data) return <Done saved={create.data} />;
  return (
    <form onSubmit={submit}>
      <TextInput
        label="Name"
        placeholder="Payments that failed"
        data-autofocus
        maxLength={NAME_CHARACTERS_MAX}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        error={create.error?.message}
        description="Everybody who uses this server sees it."
      />
      <Group justify="flex-end" mt="sm">
        <Button type="submit" size="xs" loading={create.isPending} disabled={name.trim() === ""}>
          Save
        </Button>
      </Group>
    </form>
  );
}

function Done({ saved }: { saved: Saved }) {
  return (
    <div role="status">
      <Text size="sm" fw={600}>
        Saved
      </Text>
      <Group gap={6} wrap="nowrap" mt={4}>
        <Anchor size="sm" truncate component={Link} to="/saved">
          {saved.name}
        </Anchor>
        <CopyButton text={() => linkTo(saved.id)} label="Copy link" />
      </Group>
    </div>
  );
}
