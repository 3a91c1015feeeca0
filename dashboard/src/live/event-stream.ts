/**
 * Server-sent events out of a text that comes in pieces (HTML Living Standard, 9.2), as far as the server writes them:
 * lines end in LF, `event` comes before `data`, and `data` is one line.
 */
export class EventStream {
  private rest = "";
  private searched = 0;

  /** `data` is a piece of `text`: as long as it is kept, so is the whole of it. */
  push(text: string, found: (event: string, data: string) => void): void {
    const all = this.rest === "" ? text : this.rest + text;
    let begin = 0;
    let end = all.indexOf("\n\n", this.searched);
    while (end >= 0) {
      parse(all, begin, end, found);
      begin = end + 2;
      end = all.indexOf("\n\n", begin);
    }
    this.rest = begin === 0 ? all : all.slice(begin);
    // A line of a megabyte comes in many pieces: what was searched is not searched again, but for half of an ending.
    this.searched = Math.max(0, this.rest.length - 1);
  }
}

function parse(all: string, begin: number, end: number, found: (event: string, data: string) => void): void {
  if (!all.startsWith("event: ", begin)) return; // a comment
  const eventEnd = all.indexOf("\n", begin);
  const data = eventEnd + 1;
  if (eventEnd < 0 || eventEnd > end || !all.startsWith("data: ", data)) return;
  found(all.slice(begin + 7, eventEnd), all.slice(data + 6, end));
}
