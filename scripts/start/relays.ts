/**
 * How the review server is reached from outside of its ring: the relay at its address, and beside it the developer's door,
 * a socket in a folder of the developer's that needs no token.
 */
import { chownSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { dirname, join } from "node:path";
import { throughDoor } from "../../sandbox/relay/door.ts";
import { type Dial, type Relay, startRelay } from "../../sandbox/relay/relay.ts";
import { connectAt, nameIn } from "../../sandbox/relay/socket-at.ts";
import type { Identity } from "./identity.ts";
import { type AgentPlace, type DeveloperPlace, serverUrl } from "./places.ts";
import { StartError } from "./report.ts";
import { REVIEW_SOCKET } from "./ring.ts";

export interface Relays {
  stop(): Promise<void>;
}

export async function openRelays(options: {
  place: DeveloperPlace;
  developer: Identity;
  agentSide: AgentPlace;
  agent: Identity;
  /** Address that the relay listens at. */
  bind: string;
  /** Address that clients on this machine use. */
  host: string;
  port: number;
  token: string;
  /** Whether the server is in a ring, and so listens on a socket alone. */
  ringed: boolean;
}): Promise<Relays> {
  const { agentSide, agent, bind, host, port, token, ringed } = options;
  const socket = join(agentSide.sockets, REVIEW_SOCKET);
  const dial: Dial = ringed
    ? () => connectAt(socket, agent.uid)
    : () => connect({ host, port, allowHalfOpen: true });
  const relays: Relay[] = [];
  const stop = async () => {
    await Promise.all(relays.map((one) => one.stop()));
    rmSync(dirname(options.place.door), { recursive: true, force: true });
  };
  try {
    if (ringed) relays.push(await startRelay({ host: bind, port }, dial));
    const words = { host: serverUrl(host, port).slice("http://".length), token };
    relays.push(await openDoor(options.place, options.developer, dial, words));
  } catch (error) {
    await stop();
    throw new StartError(`The review server cannot be reached from here: ${(error as Error).message}`);
  }
  return { stop };
}

async function openDoor(
  place: DeveloperPlace,
  owner: Identity,
  dial: Dial,
  words: { host: string; token: string },
): Promise<Relay> {
  const folder = dirname(place.door);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const isOther = owner.uid !== process.getuid?.();
  if (isOther) chownSync(folder, owner.uid, owner.gid);
  if (lstatSync(place.door, { throwIfNoEntry: false }) !== undefined) rmSync(place.door);
  const name = nameIn(place.door);
  const mask = process.umask(0o177);
  try {
    const relay = await startRelay({ path: name.path }, dial, throughDoor(words));
    if (isOther) chownSync(name.path, owner.uid, owner.gid);
    return relay;
  } finally {
    process.umask(mask);
    name.release();
  }
}
