import { describe, expect, it } from "vitest";
import { type LogEvent, Problem } from "../../api/client";
import { EventPages, type ReadPage } from "./pages";

const PAGE_ROWS = 10;

function event(row: number): LogEvent {
  return {
    id: `0-0-${row}`,
    timestamp: "2025-03-28T10:00:00.000000Z",
    observed_timestamp: "2025-03-28T10:00:00.000000Z",
    level: "INFO",
    message: `line ${row}`,
    service: null,
    host: null,
    trace_id: null,
    span_id: null,
    attributes: {},
  };
}

/** A server with so many events, whose cursors are the rows they begin at; `asked` lists the cursors it was asked for. */
function server(events: number) {
  const asked: (string | null)[] = [];
  const read: ReadPage = async (cursor) => {
    asked.push(cursor);
    const first = Number(cursor ?? 0);
    const last = Math.min(first + PAGE_ROWS, events);
    return {
      events: Array.from({ length: last - first }, (_, index) => event(first + index)),
      next_cursor: last < events ? String(last) : null,
    };
  };
  return { asked, read };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

async function scrolledTo(pages: EventPages, row: number) {
  while (pages.rows <= row && pages.hasMore) {
    pages.want(pages.rows, pages.rows);
    await settled();
  }
}

describe("EventPages", () => {
  it("reads the first page without a cursor and the next by the cursor of the one before", async () => {
    const { asked, read } = server(25);
    const pages = new EventPages(read);
    pages.want(0, 5);
    await settled();
    pages.want(5, 12);
    await settled();
    expect(asked).toEqual([null, "10"]);
    expect(pages.rows).toBe(20);
    expect(pages.event(12)?.message).toBe("line 12");
  });

  it("has no more behind the last page", async () => {
    const { asked, read } = server(25);
    const pages = new EventPages(read);
    await scrolledTo(pages, 24);
    pages.want(20, 40);
    await settled();
    expect(pages.hasMore).toBe(false);
    expect(pages.rows).toBe(25);
    expect(asked).toHaveLength(3);
  });

  it("lets go of far pages, keeps the number of rows, and reads them again by their cursor", async () => {
    const { asked, read } = server(200);
    const pages = new EventPages(read, 4);
    await scrolledTo(pages, 150);
    expect(pages.event(25)).toBeUndefined();
    const rows = pages.rows;
    asked.length = 0;
    pages.want(25, 27);
    await settled();
    expect(asked).toEqual(["20"]);
    expect(pages.event(25)?.message).toBe("line 25");
    expect(pages.rows).toBe(rows);
  });

  it("never lets go of the first page, as new events may have come before it", async () => {
    const { asked, read } = server(200);
    const pages = new EventPages(read, 4);
    await scrolledTo(pages, 150);
    pages.want(0, 5);
    await settled();
    expect(asked.filter((cursor) => cursor === null)).toHaveLength(1);
    expect(pages.event(0)?.message).toBe("line 0");
  });

  it("holds fewer pages where lines are long", async () => {
    const { read } = server(200);
    const long = "x".repeat(2_000_000);
    const pages = new EventPages(async (cursor, signal) => {
      const page = await read(cursor, signal);
      return { ...page, events: page.events.map((each) => ({ ...each, message: long })) };
    });
    await scrolledTo(pages, 150);
    expect(pages.event(0)).toBeDefined();
    expect(pages.event(50)).toBeUndefined();
    expect(pages.event(150)).toBeDefined();
  });

  it("asks for a page once while it is on its way", async () => {
    const { asked, read } = server(25);
    const pages = new EventPages(read);
    pages.want(0, 5);
    pages.want(0, 6);
    await settled();
    expect(asked).toEqual([null]);
  });

  it("keeps an error until it is tried again", async () => {
    const { read } = server(25);
    let away = true;
    const pages = new EventPages(async (cursor, signal) => {
      if (away) throw new Problem(0, "away");
      return read(cursor, signal);
    });
    pages.want(0, 5);
    await settled();
    expect(pages.error?.message).toBe("away");
    away = false;
    pages.want(0, 5);
    await settled();
    expect(pages.begun).toBe(false);
    pages.retry(true);
    await settled();
    expect(pages.error).toBeUndefined();
    expect(pages.rows).toBe(10);
  });

  it("does not try a wrong query again by itself", async () => {
    const pages = new EventPages(async () => {
      throw new Problem(400, "wrong");
    });
    pages.want(0, 5);
    await settled();
    pages.retry(true);
    expect(pages.error?.message).toBe("wrong");
  });

  it("says nothing more once it is closed", async () => {
    const { read } = server(25);
    const pages = new EventPages(read);
    let changes = 0;
    pages.subscribe(() => changes++);
    pages.want(0, 5);
    pages.close();
    await settled();
    expect(changes).toBe(0);
  });
});
