import { ActionIcon, Button, Group, Popover, Stack, Text, TextInput } from "@mantine/core";
import { IconHighlight, IconX } from "@tabler/icons-react";
import { useState } from "react";
import { COLOURS, type Colour, compile, RULES_MAX, type Rule } from "./highlight";
import classes from "./Live.module.css";

interface HighlightRulesProps {
  rules: readonly Rule[];
  change: (rules: readonly Rule[]) => void;
}

/** Which words stand out, and how. */
export function HighlightRules({ rules, change }: HighlightRulesProps) {
  const [text, setText] = useState("");
  const [colour, setColour] = useState<Colour>("yellow");
  const [problem, setProblem] = useState<string | null>(null);

  function add() {
    const pattern = compile(text);
    if (typeof pattern === "string") {
      setProblem(pattern);
      return;
    }
    change([...rules, { text, colour }]);
    setText("");
    setProblem(null);
    setColour(COLOURS[(COLOURS.indexOf(colour) + 1) % COLOURS.length] ?? "yellow");
  }

  return (
    <Popover width={340} position="bottom-end" withArrow trapFocus shadow="md">
      <Popover.Target>
        <Button
          variant="default"
          size="compact-md"
          aria-label={`Highlight words, ${rules.length} rules`}
          leftSection={<IconHighlight size={16} stroke={1.7} aria-hidden />}
        >
          <span className={classes.wide}>Highlight</span>
          {rules.length > 0 && <span className={classes.badge}>{rules.length}</span>}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            add();
          }}
        >
          <Stack gap="xs">
            <Text fw={600} size="sm">
              Words that stand out
            </Text>
            {rules.map((rule, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rules have no identity but their place
              <Group key={index} gap="xs" wrap="nowrap" justify="space-between">
                <mark className={classes.mark} data-colour={rule.colour}>
                  {rule.text}
                </mark>
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  size={24}
                  aria-label={`No longer highlight ${rule.text}`}
                  onClick={() => change(rules.filter((each) => each !== rule))}
                >
                  <IconX size={15} />
                </ActionIcon>
              </Group>
            ))}
            <TextInput
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
              label="Word, or /expression/"
              placeholder="timeout"
              error={problem}
              spellCheck={false}
              data-autofocus
            />
            <Group justify="space-between" wrap="nowrap">
              <div className={classes.colours} role="radiogroup" aria-label="Colour">
                {COLOURS.map((each) => (
                  <label key={each} className={classes.colour} data-colour={each}>
                    <input
                      type="radio"
                      name="colour"
                      checked={each === colour}
                      onChange={() => setColour(each)}
                      aria-label={each}
                    />
                  </label>
                ))}
              </div>
              <Button type="submit" size="xs" disabled={rules.length >= RULES_MAX}>
                Add
              </Button>
            </Group>
          </Stack>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}
