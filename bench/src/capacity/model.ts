/**
 * The capacity model of docs/scaling.md: from measured CPU and bytes a record to numbers of processes, Redis masters and partitions. What is measured stands in
 * `measured`, each with the place in docs/performance.md that it is from; everything else is arithmetic or a choice, and nothing here was tried at that size.
 */

/** Figures of docs/performance.md, on its machine, at 512 B a record. A test finds each of them there. */
export const measured = {
  recordBytes: 512,
  /** W1 publish: CPU µs a record of each process. */
  publishUs: { client: 0.8, broker: 0.4, storage: 0.5, redis: 0.3 },
  /** W2 drain, one group. */
  drainUs: { client: 0.8, broker: 0.4, storage: 0.5, redis: 0.3 },
  /** W3, published and delivered to one group at once. */
  throughUs: { client: 1.6, broker: 0.8, storage: 1.1, redis: 0.5 },
  /** W6: deliveries to 10 groups, as a share of what W2 drains. */
  fanOutShare: 1.14,
  /** W1's rate at 512 B, and W7's at other sizes. */
  publishPerS: 901_607,
  smallRecord: { bytes: 100, perS: 2_009_952 },
  largeRecord: { bytes: 4_096, mbPerS: 640 },
  hugeRecord: { bytes: 1_048_576, mbPerS: 675 },
  /** used_memory a record of 512 B at batches of 500. */
  redisBytesPerRecord: 525,
} as const;

/** What is asked for. */
export interface Demand {
  readonly recordsPerS: number;
  /** Mean size: key, value, headers. 100 B to 1 MiB, what was measured. */
  readonly recordBytes: number;
  /** Groups that read everything. */
  readonly groups: number;
  /** How long Redis keeps a record. */
  readonly retentionS: number;
}

/** What is chosen; none of these is a measurement. */
export interface Choices {
  /** Of a core that a process may use on average: room for peaks, restarts and a lost neighbour. */
  readonly coreShare: number;
  /** Memory of a Redis master for records; as much again is kept free for copies on write and groups' state. */
  readonly masterBytes: number;
  /** Bits per second that a master's network may carry on average. */
  readonly masterBitsPerS: number;
  readonly replicasPerMaster: number;
  /** Partitions for each master or storage service, whichever are more: hashes place them, and with few of them the busiest process has much more than its share (placement.ts). */
  readonly partitionsPerProcess: number;
  /** Records that share a log entry. W1's are about 500. */
  readonly recordsPerEntry: number;
  /** Signals that each storage process takes: one for each entry stored anywhere in its cluster. */
  readonly signalsPerSMax: number;
  /** Storage services that a broker can be given: a limit of GMQ's. */
  readonly storagesMax: number;
}

export const choices: Choices = {
  coreShare: 0.5,
  masterBytes: 32 * 1024 ** 3,
  masterBitsPerS: 5e9,
  replicasPerMaster: 1,
  partitionsPerProcess: 32,
  recordsPerEntry: 500,
  signalsPerSMax: 10_000,
  storagesMax: 64,
};

/** One Redis Cluster with its storage services and brokers. Cells know nothing of each other. */
export interface Cell {
  readonly recordsPerS: number;
  readonly brokers: number;
  readonly storages: number;
  readonly masters: number;
  /** What decided the number of masters. */
  readonly mastersBy: "CPU" | "memory" | "network";
  readonly replicas: number;
  readonly partitions: number;
  readonly retainedBytes: number;
  readonly signalsPerS: number;
  /** How long a partition takes to gather an entry's records when keys spread them evenly. In W1 records had no keys and went to one partition a turn. */
  readonly gatherMs: number;
}

export interface Plan {
  readonly cells: number;
  readonly cell: Cell;
  /** Cores that the applications' own producers and consumers need beside their work. */
  readonly clientCores: number;
}

/** Cost of a record beside one of 512 B: straight lines between the sizes that were measured. @throws RangeError outside of them */
export function sizeFactor(recordBytes: number): number {
  const { recordBytes: middle, publishPerS, smallRecord, largeRecord, hugeRecord } = measured;
  const perS = ({ bytes, mbPerS }: { bytes: number; mbPerS: number }): number => (mbPerS * 1e6) / bytes;
  const points: readonly (readonly [bytes: number, factor: number])[] = [
    [smallRecord.bytes, publishPerS / smallRecord.perS],
    [middle, 1],
    [largeRecord.bytes, publishPerS / perS(largeRecord)],
    [hugeRecord.bytes, publishPerS / perS(hugeRecord)],
  ];
  for (const [index, [bytes, factor]] of points.entries()) {
    const [toBytes, toFactor] = points[index + 1] ?? [bytes, factor];
    if (recordBytes >= bytes && recordBytes <= toBytes) {
      return factor + ((toFactor - factor) * (recordBytes - bytes)) / Math.max(1, toBytes - bytes);
    }
  }
  throw new RangeError(`recordBytes is ${recordBytes}: measured from ${smallRecord.bytes} to ${hugeRecord.bytes}`);
}

/** CPU µs of a part for one record that is published and delivered to so many groups. */
export function recordUs(part: keyof typeof measured.throughUs, { recordBytes, groups }: Demand): number {
  const { publishUs, drainUs, throughUs, fanOutShare } = measured;
  const base = groups === 0 ? publishUs[part] : throughUs[part] + ((groups - 1) * drainUs[part]) / fanOutShare;
  return base * sizeFactor(recordBytes);
}

/** A plan for the demand: as many equal cells as signals and storage services ask for, each with processes for its share. */
export function planFor(demand: Demand, chosen: Choices = choices): Plan {
  const bySignals = demand.recordsPerS / chosen.recordsPerEntry / chosen.signalsPerSMax;
  const byStorages = cores("storage", demand, chosen) / chosen.storagesMax;
  const cells = Math.max(1, Math.ceil(Math.max(bySignals, byStorages)));
  const cell = cellFor({ ...demand, recordsPerS: demand.recordsPerS / cells }, chosen);
  return { cells, cell, clientCores: cores("client", demand, chosen) };
}

function cores(part: keyof typeof measured.throughUs, demand: Demand, { coreShare }: Choices): number {
  return Math.ceil((demand.recordsPerS * recordUs(part, demand)) / 1e6 / coreShare);
}

function cellFor(demand: Demand, chosen: Choices): Cell {
  const { recordsPerS, recordBytes, retentionS } = demand;
  const { masterBytes, masterBitsPerS, replicasPerMaster, partitionsPerProcess, recordsPerEntry } = chosen;
  const storedBytes = recordBytes + measured.redisBytesPerRecord - measured.recordBytes;
  const retainedBytes = recordsPerS * retentionS * storedBytes;
  // In once, out to each replica. Consumers that keep up are served from the storage services' memory.
  const bitsPerS = recordsPerS * storedBytes * 8 * (1 + replicasPerMaster);
  const needed = [
    ["CPU", cores("redis", demand, chosen)],
    ["memory", Math.ceil(retainedBytes / masterBytes)],
    ["network", Math.ceil(bitsPerS / masterBitsPerS)],
  ] as const;
  const [mastersBy, most] = needed.reduce((worst, one) => (one[1] > worst[1] ? one : worst));
  // A Redis Cluster has three masters at least.
  const masters = Math.max(3, most);
  const storages = Math.max(2, cores("storage", demand, chosen));
  const partitions = Math.max(masters, storages) * partitionsPerProcess;
  return {
    recordsPerS,
    brokers: Math.max(2, cores("broker", demand, chosen)),
    storages,
    masters,
    mastersBy,
    replicas: masters * replicasPerMaster,
    partitions,
    retainedBytes,
    signalsPerS: recordsPerS / recordsPerEntry,
    gatherMs: (recordsPerEntry / (recordsPerS / partitions)) * 1_000,
  };
}
