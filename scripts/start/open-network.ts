/**
 * What a start opens: the way to the network and to the model, for the agent's commands and for opencode. An opencode in a
 * ring has no other, so that what it needs and cannot have is said here.
 */
import { randomBytes } from "node:crypto";
import type { Route } from "../../sandbox/network/gateway.ts";
import { GATEWAY_PORT } from "../../sandbox/network/sockets.ts";
import { behindGateway, type Gated } from "./gateway.ts";
import type { NetworkWishes } from "./network.ts";
import { startNetwork } from "./network.ts";
import { freePort } from "./ports.ts";
import { type OwnProvider, scriptedProvider } from "./providers.ts";
import { entriesFor, findReachable, hostIn } from "./reachable.ts";
import { say } from "./report.ts";

/** Where opencode 1.18 asks which models there are. */
const CATALOGUE = "https://models.opencode.ai";

export interface Opened {
  /** The registry that npm is to take; null where the machine has no npm. */
  registry: string | null;
  /** The developer's providers as opencode is to see them; null for the demo. */
  provider: OwnProvider | null;
}

export interface NetworkOf extends Pick<NetworkWishes, "developer" | "agent" | "place" | "agentSide"> {
  provider: OwnProvider | null;
  /** Whether opencode is in a ring, and so in a network of its own. */
  ringed: boolean;
  /** Port of the demo's scripted model. */
  model: number;
  /** The server's setting `sync.remote`. */
  remote: unknown;
}

/** @param repository the developer's checkout */
export async function openNetwork(of: NetworkOf, repository: string): Promise<Opened> {
  const { developer, provider: own, ringed } = of;
  const gateway = ringed ? GATEWAY_PORT : await freePort();
  const behind = own === null ? null : await behindGateway(own, developer, gateway);
  const { command, registry, registries } = await findReachable(developer, repository);
  const addresses = [...(behind?.direct ?? []), ...(ringed ? ownAddresses(of) : [])];
  const host = [...registries, ...(await entriesFor(addresses))];
  const said = ringed && behind !== null ? whatIsDirect(behind) : null;
  if (said !== null) say(said);
  const routes = behind?.routes ?? [demoRoute(of)];
  const port = ringed ? null : gateway;
  await startNetwork({ ...of, defaults: { command, host }, gateway: port, routes });
  return { registry, provider: behind?.provider ?? null };
}

/**
 * Providers that the gateway cannot stand for have the list alone, and what their clients need beside is not known here.
 * @returns a sentence on that, or null where there are none
 */
export function whatIsDirect({ direct, provider }: Pick<Gated, "direct" | "provider">): string | null {
  const logins = Object.keys(JSON.parse(provider.logins ?? "{}") as object);
  const hosts = [...new Set(direct.flatMap((address) => hostIn(address)?.host ?? []))];
  if (hosts.length === 0 && logins.length === 0) return null;
  const whose = logins.length === 0 ? "" : `, for your login with ${logins.join(", ")} too`;
  return `opencode reaches ${hosts.length === 0 ? "no provider" : hosts.join(", ")} by itself, and no other host${whose}: what it is refused is in npm run sandbox -- list, and allowed with npm run sandbox -- allow HOST`;
}

/** What opencode and the review server reach in the demo and for every provider. */
function ownAddresses({ provider, remote }: NetworkOf): string[] {
  const catalogue = provider?.env.OPENCODE_MODELS_URL ?? CATALOGUE;
  const asks = provider !== null && provider.env.OPENCODE_DISABLE_MODELS_FETCH === undefined;
  const { addresses, problem } = remoteWay(remote);
  if (problem !== null) say(problem);
  return [...(asks ? [catalogue] : []), ...addresses];
}

/** How a remote that finalized commits are pushed to is reached: the proxy leads to the web alone. */
export function remoteWay(remote: unknown): { addresses: string[]; problem: string | null } {
  const none = { addresses: [], problem: null };
  if (typeof remote !== "string" || remote.startsWith("/") || remote.startsWith("file:")) return none;
  if (/^https?:/.test(remote)) return { addresses: [remote], problem: null };
  if (hostIn(remote) === null) return none;
  return {
    addresses: [],
    problem: `sync.remote ${remote} is not reached from opencode's ring, which has no way out but by HTTP(S): name its https address, or push from your checkout`,
  };
}

const PLACEHOLDER = `demo-${randomBytes(24).toString("base64url")}`;

/** The scripted model asks for no key; the gateway asks for this one. */
const demoRoute = ({ model }: NetworkOf): Route => ({
  id: "scripted",
  base: `http://127.0.0.1:${model}/v1`,
  secrets: [{ placeholder: PLACEHOLDER, value: "none" }],
});

/** The demo's settings of opencode. */
export const demoProvider = (ringed: boolean, model: number) =>
  ringed
    ? scriptedProvider(`http://127.0.0.1:${GATEWAY_PORT}/scripted`, PLACEHOLDER)
    : scriptedProvider(`http://127.0.0.1:${model}/v1`, "none");
