import { formatBytes, formatCount, formatDuration } from "../parts/format.js";

/** What a topic is set up with, as far as it is shown. */
export interface ShownConfig {
  readonly partitions?: number;
  readonly bytesMax?: bigint;
  readonly retention?:
    | { readonly ms?: bigint; readonly bytes?: bigint; readonly records?: bigint; readonly workQueue?: boolean }
    | undefined;
}

/** One setting in words. */
export interface ConfigRow {
  readonly name: string;
  readonly value: string;
  /** As a topic has it that nobody set up. */
  readonly isDefault: boolean;
}

/** The settings of a topic that can be changed. */
export function configRows(config: ShownConfig | undefined): readonly ConfigRow[] {
  const { ms = 0n, bytes = 0n, records = 0n, workQueue = false } = config?.retention ?? {};
  const bytesMax = config?.bytesMax ?? 0n;
  return [
    { name: "kept for", value: ms === 0n ? "for good" : formatDuration(ms), isDefault: ms === 0n },
    {
      name: "kept per partition",
      value: bytes === 0n ? "no bound of bytes" : formatBytes(bytes),
      isDefault: bytes === 0n,
    },
    {
      name: "kept records per partition",
      value: records === 0n ? "no bound" : formatCount(records),
      isDefault: records === 0n,
    },
    { name: "goes once settled", value: workQueue ? "yes" : "no", isDefault: !workQueue },
    {
      name: "budget of the topic",
      value: bytesMax === 0n ? "no bound" : formatBytes(bytesMax),
      isDefault: bytesMax === 0n,
    },
  ];
}

/** What another set-up would change, one line a setting. */
export function configChanges(before: ShownConfig | undefined, after: ShownConfig): readonly string[] {
  const was = configRows(before);
  return configRows(after).flatMap(({ name, value }, index) => {
    const old = was[index]?.value ?? "";
    return old === value ? [] : [`${name}: ${old} → ${value}`];
  });
}
