/** The text format of Prometheus, as far as servers write it (version 0.0.4): samples by name. */

export interface Sample {
  labels: Readonly<Record<string, string>>;
  value: number;
}

export type Metrics = ReadonlyMap<string, readonly Sample[]>;

const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+([+-]?(?:Inf|[\d.]+(?:[eE][+-]?\d+)?)|NaN)/;

/** Lines that are no samples are left out. */
export function parseMetrics(text: string): Metrics {
  const metrics = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const found = LINE.exec(line);
    if (!found) continue;
    const [, name = "", labels = "", value = ""] = found;
    const samples = metrics.get(name) ?? [];
    if (samples.length === 0) metrics.set(name, samples);
    samples.push({ labels: readLabels(labels), value: readNumber(value) });
  }
  return metrics;
}

/** Sum over all samples with these labels; undefined when there is none, or it is no number. */
export function total(
  metrics: Metrics,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const samples = (metrics.get(name) ?? []).filter((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (samples.length === 0) return undefined;
  const sum = samples.reduce((before, sample) => before + sample.value, 0);
  return Number.isNaN(sum) ? undefined : sum;
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name = "", value = ""] of text.matchAll(LABEL))
    labels[name] = value.replace(/\\(.)/g, (_, sign: string) => (sign === "n" ? "\n" : sign));
  return labels;
}

function readNumber(text: string): number {
  if (text === "+Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  return Number(text);
}
