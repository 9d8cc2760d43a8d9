/** A value as text. */
export function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}

/** Values that tell their place: r0, r1, … */
export function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `r${index}`);
}
