import { Alert, Button, Group, SegmentedControl, Stack, Text, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { formatTime, useZone } from "../time/zone";
import { LogText, LongLogText } from "../ui/LogText";
import { Failure } from "../ui/States";
import { dropLetter, type Letter, readLetter, replayLetter, type WholeLetter } from "./dead-letters";
import { bytesText, countText } from "./numbers";
import { bytesOf, hexRows, readable } from "./raw-bytes";
import classes from "./System.module.css";

/** A textarea with more than this makes the browser slow; such letters are mended with the command line. */
const EDITED_CHARS_MAX = 200_000;
const HEX_BYTES_MAX = 4_096;

/** One letter: why it is here, its bytes, and what can be done with it. */
export function DeadLetter({ letter, close }: { letter: Letter; close: () => void }) {
  const zone = useZone();
  const asked = useQuery({
    queryKey: ["dead-letter", letter.id],
    queryFn: ({ signal }) => readLetter(letter.id, signal),
  });
  return (
    <Stack gap="md">
      <div className={classes.why} role="note">
        <LogText text={letter.reason} lines="many" />
      </div>
      <dl className={classes.facts}>
        <dt>Came in</dt>
        <dd>{formatTime(letter.observed_timestamp, zone)}</dd>
        <dt>From</dt>
        <dd>
          <LogText text={letter.source} />, line {countText(letter.line)}
        </dd>
        <dt>Content type</dt>
        <dd>{letter.content_type === "" ? "none" : <LogText text={letter.content_type} />}</dd>
        <dt>Size</dt>
        <dd>{bytesText(letter.bytes)}</dd>
        {letter.replayed_as !== null && (
          <>
            <dt>Replayed as</dt>
            <dd>{letter.replayed_as}: what it held is in the log already</dd>
          </>
        )}
      </dl>
      {asked.error && <Failure error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && <Bytes letter={asked.data} />}
      {asked.data && <Actions letter={asked.data} close={close} />}
    </Stack>
  );
}

function Bytes({ letter }: { letter: WholeLetter }) {
  const [look, setLook] = useState(letter.text === null ? "hex" : "text");
  const bytes = useMemo(() => bytesOf(letter.raw_base64), [letter.raw_base64]);
  return (
    <div>
      <Group justify="space-between" mb={6}>
        <Text fw={600} size="sm">
          As it came in
        </Text>
        <SegmentedControl
          size="xs"
          value={look}
          onChange={setLook}
          aria-label="How the bytes are shown"
          data={[
            { value: "text", label: "Text" },
            { value: "hex", label: "Bytes" },
          ]}
        />
      </Group>
      {look === "text" ? (
        <div className={classes.raw}>
          <LongLogText text={readable(bytes)} />
        </div>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        <section className={classes.raw} tabIndex={0} aria-label="Bytes">
          {hexRows(bytes, HEX_BYTES_MAX).map((row) => (
            <div key={row.offset} className={classes.hex}>
              <span>{row.offset}</span>
              <span>{row.hex}</span>
              <span>{row.text}</span>
            </div>
          ))}
          {bytes.length > HEX_BYTES_MAX && (
            <Text size="sm" c="dimmed">
              The first {bytesText(HEX_BYTES_MAX)} of {bytesText(bytes.length)}.
            </Text>
          )}
        </section>
      )}
    </div>
  );
}

function Actions({ letter, close }: { letter: WholeLetter; close: () => void }) {
  const queries = useQueryClient();
  const [text, setText] = useState(letter.text ?? "");
  const [isDropping, setDropping] = useState(false);
  const isEdited = text !== (letter.text ?? "");
  const isLong = (letter.text?.length ?? 0) > EDITED_CHARS_MAX;
  const listAgain = () => queries.invalidateQueries({ queryKey: ["dead-letters"] });
  const replay = useMutation({
    mutationFn: () => replayLetter(letter.id, isEdited ? text : null),
    onSuccess: (answer) => "accepted" in answer && void listAgain(),
  });
  const drop = useMutation({
    mutationFn: () => dropLetter(letter.id),
    onSuccess: () => {
      void listAgain();
      close();
    },
  });
  const answer = replay.data;
  if (answer && "accepted" in answer) {
    return (
      <Alert color="green" variant="light" title="Replayed" role="status">
        <Stack gap="xs" align="flex-start">
          {answer.accepted === 1 ? "One event was" : `${countText(answer.accepted)} events were`} taken in,
          and the letter is gone.
          <Group>
            <Button size="compact-sm" onClick={close}>
              Back to the list
            </Button>
            <Link to="/" search={{ start: "15m" }}>
              Search the last 15 minutes
            </Link>
          </Group>
        </Stack>
      </Alert>
    );
  }
  const error = replay.error ?? drop.error;
  return (
    <Stack gap="sm">
      {isLong ? (
        <Text size="sm">
          This is too long to be mended here. <code>tailrace dead-letters show {letter.id} --raw</code> writes
          it to a file, and <code>replay --mended</code> takes that back.
        </Text>
      ) : (
        <Textarea
          label="Mended"
          description={
            letter.text === null
              ? "The bytes are no text. What you write here is replayed in their place."
              : "JSON: an object, one a line, or an array. What stands here is replayed."
          }
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          autosize
          minRows={4}
          maxRows={16}
          spellCheck={false}
          classNames={{ input: classes.editor ?? "" }}
        />
      )}
      {answer && "errors" in answer && (
        <Alert color="red" variant="light" title="Still wrong, so nothing was taken in" role="alert">
          {answer.errors.length === 0 && answer.detail}
          <ul className={classes.errors}>
            {answer.errors.map((each) => (
              <li key={`${each.line} ${each.reason}`}>
                Line {each.line}: <LogText text={each.reason} />
              </li>
            ))}
          </ul>
        </Alert>
      )}
      {error && (
        <Alert color="red" variant="light" title="This did not work" role="alert">
          {error.message}
        </Alert>
      )}
      {isDropping ? (
        <Group>
          <Text size="sm">Drop it for good? Its bytes are kept nowhere else.</Text>
          <Button color="red.9" loading={drop.isPending} onClick={() => drop.mutate()} data-autofocus>
            Drop it
          </Button>
          <Button variant="default" onClick={() => setDropping(false)}>
            Keep it
          </Button>
        </Group>
      ) : (
        <Group>
          <Button loading={replay.isPending} onClick={() => replay.mutate()}>
            {isEdited ? "Replay the mended text" : "Replay as it is"}
          </Button>
          <Button variant="default" onClick={() => setDropping(true)}>
            Drop
          </Button>
        </Group>
      )}
    </Stack>
  );
}
