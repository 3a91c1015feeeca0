/** Figures as people read them. What is not known is a dash. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const DASH = "–";

export function bytesText(bytes: number | undefined): string {
  if (bytes === undefined) return DASH;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${short(value, unit === 0 ? 0 : 1)} ${UNITS[unit]}`;
}

export function countText(count: number | undefined): string {
  return count === undefined ? DASH : Math.round(count).toLocaleString("en");
}

/** `12,345/s`, and a decimal where it is small. */
export function rateText(perSecond: number | undefined): string {
  return perSecond === undefined ? DASH : `${short(perSecond, perSecond < 10 ? 1 : 0)}/s`;
}

/** `0.4 ms`, `12 ms`, `3.2 s`. */
export function secondsText(seconds: number | undefined): string {
  if (seconds === undefined) return DASH;
  if (seconds < 1) return `${short(seconds * 1_000, seconds < 0.01 ? 1 : 0)} ms`;
  return `${short(seconds, 1)} s`;
}

/** `3 d 4 h`, `12 min`: the two largest units. */
export function ageText(seconds: number): string {
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [Math.floor(seconds) % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0 s";
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(" ");
}

function short(value: number, digits: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}
