import { ageText, bytesText } from "./numbers";

export interface Setting {
  name: string;
  value: string;
}

/** Settings as lines, `worker.flush_rows`, in the order of the server. */
export function settingsOf(settings: Readonly<Record<string, unknown>>, prefix = ""): Setting[] {
  return Object.entries(settings).flatMap(([name, value]): Setting[] => {
    const whole = prefix + name;
    if (isGroup(value) && Object.keys(value).length > 0) return settingsOf(value, `${whole}.`);
    return [{ name: whole, value: textOf(value) + inWords(name, value) }];
  });
}

/** Those that have all words of `filter` in their name or value. */
export function filtered(settings: readonly Setting[], filter: string): Setting[] {
  const words = filter.toLowerCase().split(/\s+/);
  return settings.filter(({ name, value }) => {
    const text = `${name} ${value}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

/** What a large number of bytes or seconds comes to. */
function inWords(name: string, value: unknown): string {
  if (typeof value !== "number") return "";
  if (/(^|_)bytes(_|$)/.test(name) && value >= 1024) return ` (${bytesText(value)})`;
  return name.endsWith("_s") && value >= 60 ? ` (${ageText(value)})` : "";
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  if (value === null || value === "" || (isGroup(value) && Object.keys(value).length === 0)) return "not set";
  if (Array.isArray(value)) return value.map(String).join(", ");
  return typeof value === "number" ? value.toLocaleString("en", { maximumFractionDigits: 6 }) : String(value);
}
