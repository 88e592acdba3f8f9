/** A connection to a host that the lists allow: looked up once, and made to an address that was looked at. */
import { promises as dns, type LookupAddress } from "node:dns";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { kindOf } from "./addresses.ts";
import { type Connection, dial } from "./connection.ts";
import { canonicalHost, judge, type Reason, type Rules } from "./rules.ts";

export interface Target {
  /** As it was asked for. */
  host: string;
  port: number;
}

export type Opened =
  | { connection: Connection }
  /** Not allowed: for the developer to know, and to allow. */
  | { refused: Reason; detail: string }
  /** Allowed, and not there. */
  | { failed: string };

export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

const CONNECT_MS = 20_000;
const MOST_TRIED = 4;
const lookUp: Resolve = (host) => dns.lookup(host, { all: true, verbatim: true });
const ownAddresses = () =>
  Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);

/** @param rules read for this very connection; throws a ListError where they cannot be */
export async function open(
  { host: asked, port }: Target,
  rules: () => Rules,
  resolve: Resolve = lookUp,
): Promise<Opened> {
  const host = canonicalHost(asked);
  if (host === null) return { refused: "name", detail: "that is no name of a host" };
  let verdict: ReturnType<typeof judge>;
  try {
    verdict = judge(rules(), host, port);
  } catch (error) {
    return { refused: "list", detail: (error as Error).message };
  }
  if ("refused" in verdict) return { refused: verdict.refused, detail: sentence(verdict.refused) };
  // An address that is written in the list is meant, whatever it is.
  if (isIP(host) !== 0) return first([host], port);
  const { reach } = verdict.allowed;
  let found: readonly LookupAddress[];
  try {
    found = await resolve(host);
  } catch (error) {
    return { failed: `${host} was not found (${(error as { code?: string }).code ?? "no answer"})` };
  }
  const own = ownAddresses();
  const kinds = found.map(({ address }) => ({ address, kind: kindOf(address, own) }));
  const good = kinds.filter(({ kind }) => kind === "public" || reach.includes(kind));
  const [bad] = kinds;
  if (good.length > 0)
    return first(
      good.map(({ address }) => address),
      port,
    );
  if (bad === undefined) return { failed: `${host} has no address` };
  return { refused: "address", detail: `its name leads to a ${bad.kind} address` };
}

const sentence = (reason: Reason) =>
  reason === "denied" ? "it is denied in this project" : "it is not on the list of this project";

async function first(addresses: readonly string[], port: number): Promise<Opened> {
  let failed = "no address answered";
  for (const hostname of addresses.slice(0, MOST_TRIED)) {
    const made = await dial({ hostname, port }, CONNECT_MS);
    if (typeof made !== "string") return { connection: made };
    failed = made;
  }
  return { failed };
}
