import { isIP } from "node:net";

/**
 * An address as those are counted that come from it: whoever has one address of IPv6 has 2^64 of them.
 * @returns an IPv4 address as it is, also where a socket of both families gives it as IPv6, the first 64 bits of an IPv6 address
 */
export function countedAddress(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "");
  if (isIP(plain) !== 6) return plain;
  // As URLs write it: one form for each address.
  const [head = "", tail] = new URL(`http://[${plain.replace(/%.*$/, "")}]`).hostname.slice(1, -1).split("::");
  const left = head.split(":").filter((part) => part !== "");
  const right = (tail ?? "").split(":").filter((part) => part !== "");
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => "0");
  return `${[...left, ...zeros, ...right].slice(0, 4).join(":")}::/64`;
}
