import { ActionIcon, TextInput } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import { useMemo, useState } from "react";
import { attributeSql, COLUMNS } from "./editor/words";
import classes from "./SchemaPanel.module.css";

interface SchemaPanelProps {
  attributes: readonly string[];
  insert: (text: string) => void;
}

/** What the table has; a click puts it into the statement. */
export function SchemaPanel({ attributes, insert }: SchemaPanelProps) {
  const [words, setWords] = useState("");
  const wanted = words.trim().toLowerCase();
  const columns = useMemo(() => COLUMNS.filter((each) => each.name.includes(wanted)), [wanted]);
  const names = useMemo(
    () => attributes.filter((each) => each.toLowerCase().includes(wanted)),
    [attributes, wanted],
  );
  return (
    <aside className={classes.panel} aria-label="Columns of the table logs">
      <TextInput
        size="xs"
        aria-label="Find a column"
        placeholder="Find a column"
        value={words}
        onChange={(event) => setWords(event.currentTarget.value)}
        rightSection={
          words && (
            <ActionIcon
              size={24}
              variant="subtle"
              color="gray"
              aria-label="Clear"
              onClick={() => setWords("")}
            >
              <IconX size={13} />
            </ActionIcon>
          )
        }
      />
      <div className={classes.lists}>
        {columns.length > 0 && (
          <section>
            <h2>logs</h2>
            <ul>
              {columns.map((each) => (
                <li key={each.name}>
                  <button type="button" title={each.about} onClick={() => insert(each.name)}>
                    <span>{each.name}</span>
                    <small>{each.type}</small>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
        {names.length > 0 && (
          <section>
            <h2>attributes of the last day</h2>
            <ul>
              {names.map((name) => (
                <li key={name}>
                  <button type="button" title={attributeSql(name)} onClick={() => insert(attributeSql(name))}>
                    <bdi>{name}</bdi>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
        {columns.length + names.length === 0 && <p>No column has this in its name.</p>}
      </div>
    </aside>
  );
}
