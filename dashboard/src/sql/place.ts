/** Where in a statement an error lies, as far as it can be known. */

export interface Place {
  /** Offsets in UTF-16 units, as editors count. */
  from: number;
  to: number;
}

/** `column` counts characters of the whole statement from 1, line breaks included, as the server does. */
export function errorPlace(statement: string, column: number | null, message: string): Place | null {
  if (column !== null) {
    const from = offsetOf(statement, column - 1);
    return { from, to: wordEnd(statement, from) };
  }
  return namedPlace(statement, message);
}

function offsetOf(statement: string, characters: number): number {
  let offset = 0;
  for (const character of statement) {
    if (characters-- <= 0) break;
    offset += character.length;
  }
  return offset;
}

function wordEnd(statement: string, from: number): number {
  const word = /^[\p{L}\p{N}_]+/u.exec(statement.slice(from))?.[0] ?? "";
  return Math.min(from + Math.max(word.length, 1), statement.length);
}

/** DuckDB names what it did not find ("Referenced column "foo" not found"): where that stands, if it stands there once. */
function namedPlace(statement: string, message: string): Place | null {
  const name =
    /(?:column|function with name|table with name|type with name)\s+"?([\p{L}_][\p{L}\p{N}_]*)"?/iu.exec(
      message,
    )?.[1];
  if (name === undefined) return null;
  const found = [...statement.matchAll(/[\p{L}_][\p{L}\p{N}_]*/gu)].filter(
    (each) => each[0].toLowerCase() === name.toLowerCase(),
  );
  const only = found.length === 1 ? found[0] : undefined;
  return only ? { from: only.index, to: only.index + only[0].length } : null;
}

/** Line and column of an offset, both from 1, for people. */
export function lineAndColumn(statement: string, offset: number): { line: number; column: number } {
  const before = statement.slice(0, offset).split("\n");
  return { line: before.length, column: [...(before.at(-1) ?? "")].length + 1 };
}
