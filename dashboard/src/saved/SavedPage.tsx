import { Anchor, Button, Group, Modal, Skeleton, Text, TextInput } from "@mantine/core";
import { IconSearch } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { Empty, Failure } from "../ui/States";
import { type Saved, useCreateSaved, useDeleteSaved, useReplaceSaved, useSavedList } from "./api";
import { copyName, matches } from "./links";
import classes from "./SavedPage.module.css";
import { SavedRow } from "./SavedRow";

const PLACEHOLDERS = ["a", "b", "c", "d"];

export function SavedPage() {
  const list = useSavedList();
  const [words, setWords] = useState("");
  const create = useCreateSaved();
  const replace = useReplaceSaved();
  const remove = useDeleteSaved();
  const [leaving, setLeaving] = useState<Saved | null>(null);

  const all = list.data ?? [];
  const shown = all.filter((each) => matches(each, words.trim()));
  const failure = create.error ?? replace.error ?? remove.error;

  return (
    <div className={classes.page}>
      <header className={classes.head}>
        <div>
          <h1>Saved</h1>
          <p>Searches and SQL statements, kept on this server for everybody who uses it.</p>
        </div>
        <TextInput
          className={classes.filter}
          aria-label="Find something saved"
          placeholder="Find by name or query"
          leftSection={<IconSearch size={16} stroke={1.7} />}
          value={words}
          onChange={(event) => setWords(event.currentTarget.value)}
          disabled={all.length === 0}
        />
      </header>
      <div className={classes.notice} role="status">
        {failure && <Text c="var(--bad)">{failure.message}</Text>}
      </div>
      {list.isPending && (
        <div aria-busy="true">
          {PLACEHOLDERS.map((each) => (
            <Skeleton key={each} height={46} mb={6} />
          ))}
        </div>
      )}
      {list.error && !list.data && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.data && all.length === 0 && <NothingYet />}
      {all.length > 0 && shown.length === 0 && (
        <Empty title="Nothing of that name">
          <Button variant="default" onClick={() => setWords("")}>
            Show all {all.length}
          </Button>
        </Empty>
      )}
      {shown.length > 0 && (
        <table className={classes.table}>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Kind</th>
              <th scope="col">Query</th>
              <th scope="col">Changed</th>
              <th scope="col">
                <span className={classes.unseen}>What to do</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((each) => (
              <SavedRow
                key={each.id}
                saved={each}
                rename={(name) => replace.mutateAsync({ ...each, name })}
                duplicate={() =>
                  create.mutate({
                    ...each,
                    name: copyName(
                      each.name,
                      all.map((other) => other.name),
                    ),
                  })
                }
                remove={() => setLeaving(each)}
              />
            ))}
          </tbody>
        </table>
      )}
      <Modal opened={leaving !== null} onClose={() => setLeaving(null)} title="Delete this?">
        <Text size="sm">
          “<bdi>{leaving?.name}</bdi>” goes away for everybody, and its link stops working.
        </Text>
        <Group justify="flex-end" gap="xs" mt="lg">
          <Button variant="default" onClick={() => setLeaving(null)} data-autofocus>
            Keep
          </Button>
          <Button
            variant="outline"
            color="var(--bad)"
            onClick={() => {
              if (leaving) remove.mutate(leaving.id);
              setLeaving(null);
            }}
          >
            Delete
          </Button>
        </Group>
      </Modal>
    </div>
  );
}

function NothingYet() {
  return (
    <Empty title="Nothing is saved yet">
      <Text size="sm">
        Press “Save” beside a{" "}
        <Anchor component={Link} to="/" underline="always">
          search
        </Anchor>{" "}
        or an{" "}
        <Anchor component={Link} to="/sql" underline="always">
          SQL statement
        </Anchor>
        . It gets a link that you can share.
      </Text>
    </Empty>
  );
}
