/** What kind of address a name led to. Pure: an address in, a word out. */
import { isIPv4, isIPv6 } from "node:net";

/**
 * `own`: an address of this machine's interfaces, where what listens on every address answers as on loopback.
 * `metadata`: where clouds keep the credentials of the machine. `special`: nothing that a connection is made to.
 */
export type AddressKind = "public" | "private" | "loopback" | "own" | "link-local" | "metadata" | "special";

/** Kinds that a name may be allowed to lead to; the others are reached by their number alone. */
export const BY_NAME: readonly AddressKind[] = ["public", "private", "loopback", "own"];

/** First match wins. IPv4 is looked at as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2). */
const RANGES: readonly [AddressKind, string][] = [
  ["metadata", "169.254.169.254/32"],
  ["metadata", "169.254.170.2/32"],
  ["metadata", "100.100.100.200/32"],
  ["metadata", "168.63.129.16/32"],
  ["metadata", "192.0.0.192/32"],
  ["metadata", "fd00:ec2::/32"],
  ["metadata", "fd20:ce::254/128"],
  ["loopback", "127.0.0.0/8"],
  ["loopback", "::1/128"],
  ["special", "0.0.0.0/8"],
  ["special", "::/128"],
  ["link-local", "169.254.0.0/16"],
  ["link-local", "fe80::/10"],
  ["private", "10.0.0.0/8"],
  ["private", "172.16.0.0/12"],
  ["private", "192.168.0.0/16"],
  ["private", "100.64.0.0/10"],
  ["private", "192.0.0.0/24"],
  ["private", "198.18.0.0/15"],
  ["private", "fc00::/7"],
  ["private", "fec0::/10"],
  ["special", "192.0.2.0/24"],
  ["special", "198.51.100.0/24"],
  ["special", "203.0.113.0/24"],
  ["special", "2001:db8::/32"],
  ["special", "224.0.0.0/4"],
  ["special", "240.0.0.0/4"],
  ["special", "ff00::/8"],
];

/** Prefixes behind which the last or next four bytes are an IPv4 address that a router may take them to. */
const CARRIERS: readonly { range: string; at: number }[] = [
  { range: "::/96", at: 12 },
  { range: "64:ff9b::/96", at: 12 },
  { range: "2002::/16", at: 2 },
];

/** @returns 16 bytes, or null when it is no address */
export function bytesOf(address: string): Uint8Array | null {
  if (isIPv4(address)) return mapped(address.split(".").map(Number));
  if (!isIPv6(address) || address.includes("%")) return null;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const [a = 0, b = 0, c = 0, d = 0] = dotted?.[2]?.split(".").map(Number) ?? [];
  const text = dotted === null ? address : `${dotted[1]}${hex(a * 256 + b)}:${hex(c * 256 + d)}`;
  const [head = "", tail] = text.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":"));
  const left = groups(head);
  const right = groups(tail ?? "");
  const all = [...left, ...Array<string>(8 - left.length - right.length).fill("0"), ...right];
  return Uint8Array.from(
    all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]),
  );
}

const hex = (value: number) => value.toString(16);
const mapped = (four: readonly number[]) =>
  Uint8Array.from([...Array<number>(10).fill(0), 255, 255, ...four]);

function inRange(bytes: Uint8Array, range: string): boolean {
  const [base = "", length = "0"] = range.split("/");
  const start = bytesOf(base);
  let bits = Number(length) + (base.includes(":") ? 0 : 96);
  for (let n = 0; start !== null && n < 16 && bits > 0; n++, bits -= 8) {
    const mask = bits >= 8 ? 255 : (255 << (8 - bits)) & 255;
    if (((bytes[n] ?? 0) & mask) !== ((start[n] ?? 0) & mask)) return false;
  }
  return start !== null;
}

/** @param own addresses of this machine's interfaces */
export function kindOf(address: string, own: readonly string[] = []): AddressKind {
  const bytes = bytesOf(address);
  if (bytes === null) return "special";
  const known = RANGES.find(([, range]) => inRange(bytes, range))?.[0];
  if (known === "loopback") return known;
  if (own.some((one) => sameAddress(one, address))) return "own";
  if (known !== undefined) return known;
  const carrier = CARRIERS.find(({ range }) => inRange(bytes, range));
  if (carrier === undefined) return "public";
  const inner = kindOf([...bytes.slice(carrier.at, carrier.at + 4)].join("."), own);
  // It leads to that address at best.
  return inner === "public" ? "public" : "special";
}

export function sameAddress(one: string, other: string): boolean {
  const [a, b] = [bytesOf(one), bytesOf(other)];
  return a !== null && b !== null && a.every((byte, n) => byte === b[n]);
}
