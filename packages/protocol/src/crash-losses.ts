/**
 * What a crash of the store loses, for people, to follow "a crash of the store loses": by the `durability` that a broker's status tells ("disk", "about 1 s",
 * "memory"). Undefined when that is none of them: the store does not say. docs/guarantees.md has the cases.
 */
export function crashLosses(durability: string): string | undefined {
  switch (durability) {
    case "disk":
      return "nothing that was acknowledged";
    case "about 1 s":
      return "up to about two seconds";
    case "memory":
      return "everything since its last snapshot, or all of it when it takes none";
    default:
      return undefined;
  }
}
