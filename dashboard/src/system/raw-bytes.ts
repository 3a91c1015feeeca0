/** Bytes as people look at them. */

export function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
}

export interface HexRow {
  offset: string;
  hex: string;
  text: string;
}

const WIDTH = 16;

/** The first `bytesMax` bytes, sixteen a row; what has no sign in ASCII is a dot. */
export function hexRows(bytes: Uint8Array, bytesMax: number): HexRow[] {
  const rows: HexRow[] = [];
  for (let at = 0; at < Math.min(bytes.length, bytesMax); at += WIDTH) {
    const part = [...bytes.subarray(at, Math.min(at + WIDTH, bytesMax))];
    rows.push({
      offset: at.toString(16).padStart(6, "0"),
      hex: part.map((byte) => byte.toString(16).padStart(2, "0")).join(" "),
      text: part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join(""),
    });
  }
  return rows;
}

/** As UTF-8, with a replacement sign for what is none. */
export function readable(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
