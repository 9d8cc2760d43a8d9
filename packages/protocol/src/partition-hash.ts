const offsetBasis = 0x811c9dc5;
const prime = 0x01000193;

/** FNV-1a, 32 bits, of the key's bytes. Source: the FNV specification (draft-eastlake-fnv). */
export function fnv1a32(bytes: Uint8Array): number {
  let hash = offsetBasis;
  for (let index = 0; index < bytes.length; index++) hash = Math.imul(hash ^ (bytes[index] as number), prime);
  return hash >>> 0;
}

/** The partition of a key: FNV-1a 32 modulo the number of partitions, as every GMQ client does it. */
export function partitionForKey(key: Uint8Array, partitions: number): number {
  return fnv1a32(key) % partitions;
}
