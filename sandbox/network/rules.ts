/** Which hosts may be reached: entries as the developer writes them, and what they say about one host and port. Pure. */
import { isIP, isIPv6 } from "node:net";
import type { AddressKind } from "./addresses.ts";
import { sameAddress } from "./addresses.ts";

export interface Entry {
  /** A name in lower case, `*.` and a name (any depth below it, not itself), or an address. */
  host: string;
  /** null: 80 and 443; of a denial every port. */
  port: number | null;
  /** What the name may lead to beside public addresses. */
  reach: readonly AddressKind[];
}

export interface Rules {
  allow: readonly Entry[];
  /** Stronger than what is allowed, and than what is allowed from the start. */
  deny: readonly Entry[];
}

export type Verdict = { allowed: Entry } | { refused: Reason };

/** Why a connection is not made; part of the refusals' format. */
export type Reason =
  | "name" // no name of a host, whatever the lists say
  | "not-allowed"
  | "denied"
  | "address" // the name leads to an address that it may not lead to
  | "list"; // the list cannot be read

const WEB_PORTS = [80, 443];
/** RFC 1123 §2.1, and underscores, which are in use. No dot at the end: it would be another spelling of the same. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * The one spelling of a host: a name in lower case, or an address. Everything else is no host: NUL and other bytes, an
 * empty label, a dot at the end, and what some resolvers take for a number (`127.1`, `0x7f000001`, `2130706433`).
 */
export function canonicalHost(text: string): string | null {
  const bare = /^\[(.*)\]$/.exec(text)?.[1];
  if (bare !== undefined) return isIPv6(bare) && !bare.includes("%") ? bare.toLowerCase() : null;
  if (isIP(text) !== 0) return text.includes("%") ? null : text.toLowerCase();
  const name = text.toLowerCase();
  const labels = name.split(".");
  if (name.length > 253 || !labels.every((label) => LABEL.test(label))) return null;
  // URL standard, "ends in a number": such a name is an IPv4 address in disguise.
  return /^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "") ? null : name;
}

export const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port < 65_536;

/**
 * @param text HOST, HOST:PORT, *.HOST, an address, or [address]:PORT
 * @returns a sentence when it is none of these
 */
export function parseEntry(text: string): { host: string; port: number | null } | string {
  const expected = 'expected HOST, HOST:PORT, "*.HOST" or an address';
  const colons = text.split(":").length - 1;
  const [, name = text, number] =
    colons > 1 && !text.startsWith("[") ? [] : (/^(\[.*\]|[^:]*):(.*)$/.exec(text) ?? []);
  const port = number === undefined ? null : /^\d{1,5}$/.test(number) ? Number(number) : Number.NaN;
  if (port !== null && !isPort(port)) return `"${text}": the port is a number from 1 to 65535; ${expected}`;
  const wild = name.startsWith("*.");
  const host = canonicalHost(wild ? name.slice(2) : name);
  if (host === null) return `"${text}" names no host; ${expected}`;
  if (!wild) return { host, port };
  if (isIP(host) !== 0 || !host.includes("."))
    return `"${text}" takes in too much: after "*." comes a name with a dot in it`;
  return { host: `*.${host}`, port };
}

export const entryText = ({ host, port }: { host: string; port: number | null }): string =>
  port === null ? host : `${isIPv6(host) ? `[${host}]` : host}:${port}`;

export const sameEntry = (one: Pick<Entry, "host" | "port">, other: Pick<Entry, "host" | "port">): boolean =>
  one.host === other.host && one.port === other.port;

function covers(entry: Entry, host: string): boolean {
  if (isIP(host) !== 0) return isIP(entry.host) !== 0 && sameAddress(entry.host, host);
  return entry.host.startsWith("*.") ? host.endsWith(entry.host.slice(1)) : entry.host === host;
}

/** @param host in its one spelling; see {@link canonicalHost} */
export function judge(rules: Rules, host: string, port: number): Verdict {
  if (rules.deny.some((entry) => covers(entry, host) && (entry.port === null || entry.port === port)))
    return { refused: "denied" };
  const onPort = ({ port: only }: Entry) => (only === null ? WEB_PORTS.includes(port) : only === port);
  const matching = rules.allow.filter((entry) => covers(entry, host) && onPort(entry));
  const [first] = matching;
  if (first === undefined) return { refused: "not-allowed" };
  return { allowed: { ...first, reach: matching.flatMap(({ reach }) => reach) } };
}
