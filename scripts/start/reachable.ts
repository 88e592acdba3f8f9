/**
 * What the agent may reach before the developer has said anything: the hosts that this machine itself is set up to get
 * packages from, and the remotes of the repository. Found in the machine's own settings; nothing is written down here.
 */
import { promises as dns } from "node:dns";
import { networkInterfaces } from "node:os";
import { type AddressKind, BY_NAME, kindOf } from "../../sandbox/network/addresses.ts";
import { canonicalHost, type Entry, sameEntry } from "../../sandbox/network/rules.ts";
import { type Identity, runAs } from "./identity.ts";

const ASK_MS = 10_000;
const LOOK_UP_MS = 3_000;
const PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443, "ssh:": 22, "git:": 9418 };

/** The host and port that an address of the web, of ssh, or of git's short form for ssh leads to. */
export function hostIn(address: string): { host: string; port: number } | null {
  const short = /^(?:[^@/:\s]+@)?([^/:\s]+|\[[^\]]+\]):(?!\/)/.exec(address);
  if (!address.includes("://")) {
    const host = canonicalHost(short?.[1] ?? "");
    return host === null ? null : { host, port: 22 };
  }
  try {
    const { protocol, hostname, port } = new URL(address);
    const host = canonicalHost(hostname);
    const usual = PORTS[protocol];
    if (host === null || usual === undefined) return null;
    return { host, port: port === "" ? usual : Number(port) };
  } catch {
    return null;
  }
}

/** An address without what logs in. */
export function withoutLogin(address: string): string {
  const url = new URL(address);
  url.username = "";
  url.password = "";
  return url.href;
}

async function ask(who: Identity, command: string[], cwd: string): Promise<string> {
  try {
    const { stdout } = await runAs(who, command, { cwd, mayFail: true, timeoutMs: ASK_MS });
    return stdout;
  } catch {
    // Not there, or without an answer: then nothing is known from it.
    return "";
  }
}

/** npm's registries, as npm itself finds them for this repository. */
export async function npmRegistries(
  developer: Identity,
  repository: string,
): Promise<{ all: string[]; main: string | null }> {
  const text = await ask(developer, ["npm", "config", "list", "--json"], repository);
  let settings: Record<string, unknown> = {};
  try {
    settings = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // No npm here.
  }
  const all = Object.entries(settings).flatMap(([name, value]) =>
    (name === "registry" || /^@[^:]+:registry$/.test(name)) && typeof value === "string" ? [value] : [],
  );
  const main = typeof settings.registry === "string" ? settings.registry : null;
  return { all, main };
}

const aptSources = async (developer: Identity) =>
  (await ask(developer, ["apt-get", "indextargets", "--format", "$(SITE)"], "/")).split("\n");

async function gitRemotes(developer: Identity, repository: string): Promise<string[]> {
  const text = await ask(
    developer,
    ["git", "-C", repository, "config", "--get-regexp", "^remote\\..*\\.url$"],
    repository,
  );
  return text.split("\n").map((line) => line.slice(line.indexOf(" ") + 1));
}

export interface Reachable {
  /** For the agent's commands. */
  command: Entry[];
  /** npm's part of it: opencode gets providers' packages there. */
  registries: Entry[];
  /** The registry that the agent's npm is to take, without a log-in; null where the machine has no npm. */
  registry: string | null;
}

/** Asks the machine; takes as long as npm takes to say its settings. */
export async function findReachable(developer: Identity, repository: string): Promise<Reachable> {
  const [npm, apt, git] = await Promise.all([
    npmRegistries(developer, repository),
    aptSources(developer),
    gitRemotes(developer, repository),
  ]);
  const command = await entriesFor([...npm.all, ...apt, ...git]);
  const registries = await entriesFor(npm.all);
  return { command, registries, registry: npm.main === null ? null : withoutLogin(npm.main) };
}

/**
 * Entries for addresses that a setting of this machine names. Where such a name leads into a private network now, that is
 * meant, and it may go on leading there. Loopback by its number is left out: inside it is another one.
 */
export async function entriesFor(addresses: readonly string[]): Promise<Entry[]> {
  const found: { host: string; port: number }[] = [];
  for (const address of addresses) {
    const one = hostIn(address.trim());
    const isLoopback = one !== null && (one.host === "localhost" || kindOf(one.host) === "loopback");
    if (one !== null && !isLoopback && !found.some((other) => sameEntry(one, other))) found.push(one);
  }
  return Promise.all(found.map(async (one) => ({ ...one, reach: await reachOf(one.host) })));
}

/** Kinds of addresses beside public ones that a name leads to now. */
export async function reachOf(host: string): Promise<AddressKind[]> {
  const own = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
  const looking = dns.lookup(host, { all: true }).catch(() => []);
  const addresses = await Promise.race([looking, Bun.sleep(LOOK_UP_MS).then(() => [])]);
  const kinds = new Set(addresses.map(({ address }) => kindOf(address, own)));
  return BY_NAME.filter((kind) => kind !== "public" && kinds.has(kind));
}
