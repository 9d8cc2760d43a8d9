/** A scrape, read: just enough of Prometheus' text format to ask for one value. */
export interface Samples {
  /** Names with a TYPE line. */
  readonly names: readonly string[];
  /** Undefined: no such series. Labels must be all of the series'. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

/** Reads what a process shows now. */
export async function scrape(url: string): Promise<Samples> {
  const response = await fetch(`${url}/metrics`);
  if (response.status !== 200) throw new Error(`${url}/metrics answers ${response.status}`);
  return readSamples(await response.text());
}

/** Reads a page of Prometheus' text format. */
export function readSamples(text: string): Samples {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match === null) continue;
    const labels = Object.fromEntries(
      Array.from((match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g), (label) => [label[1] ?? "", label[2] ?? ""]),
    );
    values.set(keyOf(match[1] ?? "", labels), Number(match[3]));
  }
  return {
    names: Array.from(text.matchAll(/^# TYPE (\S+) /gm), (match) => match[1] ?? ""),
    value: (name, labels = {}) => values.get(keyOf(name, labels)),
  };
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(labels).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `${name} ${JSON.stringify(sorted)}`;
}
