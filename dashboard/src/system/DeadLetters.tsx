import { Button, Drawer, Table } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { formatTime, useZone } from "../time/zone";
import { LogText } from "../ui/LogText";
import { Empty, Failure } from "../ui/States";
import { DeadLetter } from "./DeadLetter";
import { type Letter, listLetters } from "./dead-letters";
import { bytesText, countText } from "./numbers";
import classes from "./System.module.css";

/** What could not be decoded, or was refused by a store. `count`: how many there are now. */
export function DeadLetters({ count }: { count: number }) {
  const [open, setOpen] = useState<Letter | null>(null);
  const asked = useInfiniteQuery({
    queryKey: ["dead-letters"],
    queryFn: ({ pageParam, signal }) => listLetters(pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_before,
  });
  const { refetch } = asked;
  // biome-ignore lint/correctness/useExhaustiveDependencies: another count is another list
  useEffect(() => void refetch(), [count, refetch]);

  if (asked.error && !asked.data) return <Failure error={asked.error} retry={() => void refetch()} />;
  if (!asked.data) return <div className={classes.waiting} aria-busy />;
  const letters = asked.data.pages.flatMap((page) => page.dead_letters);
  return (
    <>
      <p className={classes.lead}>
        {letters.length === 0
          ? ""
          : "Lines that could not be read, with their bytes. Mend them and replay them, or drop them. Nothing here is lost."}
      </p>
      {letters.length === 0 ? (
        <Empty title="No dead letters">
          Every line that came in could be read. One that cannot be is kept here with its bytes and the
          reason.
        </Empty>
      ) : (
        <LetterTable letters={letters} open={setOpen} />
      )}
      {asked.hasNextPage && (
        <Button
          variant="default"
          mt="md"
          loading={asked.isFetchingNextPage}
          onClick={() => void asked.fetchNextPage()}
        >
          Show more of {countText(count)}
        </Button>
      )}
      <Drawer
        opened={open !== null}
        onClose={() => setOpen(null)}
        position="right"
        size="xl"
        title={open && `Dead letter ${open.id}`}
      >
        {open && <DeadLetter key={open.id} letter={open} close={() => setOpen(null)} />}
      </Drawer>
    </>
  );
}

function LetterTable({ letters, open }: { letters: Letter[]; open: (letter: Letter) => void }) {
  const zone = useZone();
  return (
    <Table.ScrollContainer minWidth={640}>
      <Table className={classes.table} highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Came in</Table.Th>
            <Table.Th>Reason</Table.Th>
            <Table.Th>From</Table.Th>
            <Table.Th ta="right">Line</Table.Th>
            <Table.Th ta="right">Size</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {letters.map((letter) => (
            <Table.Tr key={letter.id} className={classes.letter} onClick={() => open(letter)}>
              <Table.Td className={classes.exact}>
                {formatTime(letter.observed_timestamp, zone, "second")}
              </Table.Td>
              <Table.Td>
                <button
                  type="button"
                  className={classes.reason}
                  onClick={(event) => {
                    event.stopPropagation();
                    open(letter);
                  }}
                >
                  <LogText text={letter.reason} lengthMax={300} />
                </button>
              </Table.Td>
              <Table.Td>
                <LogText text={letter.source} lengthMax={120} />
              </Table.Td>
              <Table.Td ta="right">{countText(letter.line)}</Table.Td>
              <Table.Td ta="right">{bytesText(letter.bytes)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}
