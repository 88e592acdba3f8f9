/**
 * How the review server is reached from outside of its ring: the relay at its address, and beside it the developer's door,
 * a socket in a folder of the developer's that needs no token.
 */
import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Listener } from "../../sandbox/network/connection.ts";
import { throughDoor } from "../../sandbox/relay/door.ts";
import { type Dial, dialPort, startRelay } from "../../sandbox/relay/relay.ts";
import { dialAt, nameIn } from "../../sandbox/relay/socket-at.ts";
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
  const dial: Dial = ringed ? () => dialAt(socket, agent.uid) : dialPort(host, port);
  const relays: Listener[] = [];
  const stop = async () => {
    for (const one of relays) one.stop(true);
    rmSync(dirname(options.place.door), { recursive: true, force: true });
  };
  try {
    if (ringed) relays.push(startRelay({ hostname: bind, port }, dial));
    const words = { host: serverUrl(host, port).slice("http://".length), token };
    relays.push(openDoor(options.place, options.developer, dial, words));
  } catch (error) {
    await stop();
    throw new StartError(`The review server cannot be reached from here: ${(error as Error).message}`);
  }
  return { stop };
}

function openDoor(
  place: DeveloperPlace,
  owner: Identity,
  dial: Dial,
  words: { host: string; token: string },
): Listener {
  const folder = dirname(place.door);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // One that was left by a start that was killed may have been opened since.
  chmodSync(folder, 0o700);
  const isOther = owner.uid !== process.getuid?.();
  if (isOther) chownSync(folder, owner.uid, owner.gid);
  if (lstatSync(place.door, { throwIfNoEntry: false }) !== undefined) rmSync(place.door);
  const name = nameIn(place.door);
  const mask = process.umask(0o177);
  try {
    // Root comes through any folder. Nobody else does, if the folder is not opened to others, or the socket handed on.
    const mayEnter = (uid: number) => uid === owner.uid || uid === 0;
    const relay = startRelay({ unix: name.path }, dial, throughDoor(words, mayEnter));
    if (isOther) chownSync(name.path, owner.uid, owner.gid);
    return relay;
  } finally {
    process.umask(mask);
    name.release();
  }
}
