/**
 * The outer ring of a place: what opencode and the review server see of the machine, and the script that starts a program
 * in it. The rings themselves are in sandbox/.
 */
import { existsSync, lstatSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join, parse, resolve, sep } from "node:path";
import { REFUSED_CALLS } from "../../plugin/src/agent/refused-calls.ts";
import type { Given } from "../../plugin/src/options.ts";
import { inMemory, limited, outerLimits, readMachine, type Shares } from "../../sandbox/limits.ts";
import { withWays } from "../../sandbox/network/holder.ts";
import { proxyEnvironment } from "../../sandbox/network/sockets.ts";
import { outerRing, SERVER_FOLDER } from "../../sandbox/outer.ts";
import { seccompFilter } from "../../sandbox/seccomp.ts";
import { readSystem, type Shown, type System } from "../../sandbox/system.ts";
import { giveFolder, makeFolder, putFile } from "./agent-side.ts";
import { attempt } from "./attempt.ts";
import { lastWords } from "./confined.ts";
import { putForwarder } from "./forwarder.ts";
import { type Identity, runAs } from "./identity.ts";
import { type AgentPlace, shortHash } from "./places.ts";
import { programsElsewhere } from "./programs.ts";
import { StartError, say } from "./report.ts";
import { putTelling, refusedCalls } from "./telling.ts";

/** Names in the place's folder of sockets: the review server's, and the one that leads to opencode. */
export const REVIEW_SOCKET = "review.sock";
export const OPENCODE_SOCKET = "opencode.sock";
/** What the server is told of the ring: its socket, and which ring it is in. */
const SOCKET_VARIABLE = "SUGGESTION_MANAGER_SOCKET";
const RING_VARIABLE = "ISOLATED_AI_CODER_RING";
/** Variables that name files which a program in the ring reads. */
const FILE_VARIABLES = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"];

export interface Ring {
  /** The command that runs `command` in the ring, as the agent. */
  wrap(command: readonly string[]): string[];
  /** Words in front of a program that uses the network, and listens on a port of its own loopback. */
  ways(port: number): string[];
  /** Words in front of the very program: what is refused to it, and to all that it starts, is told from then on. */
  telling: readonly string[];
  environment: Record<string, string>;
}

/** Why the agent cannot have an outer ring, or null when it can. */
export function whyNoOuterRing(agent: Identity): string | null {
  // Root's files stay root's in every namespace: a process of root's writes to /proc/sys whatever is mounted around it.
  return agent.uid === 0 ? "opencode runs as root, and root is root in a ring too" : null;
}

/**
 * Makes the outer ring of a place, and tries it.
 * @param server the server's options: files that they name are in the ring
 * @param env the environment that opencode gets
 * @throws StartError where it does not run
 */
export async function makeRing(
  place: AgentPlace,
  agent: Identity,
  options: { show: readonly string[]; server: Given; env: Record<string, string>; shares: Shares },
): Promise<Ring> {
  giveFolder(place.sockets, 0o700, place, agent);
  const filter = join(place.cage, "outer.bpf");
  const bytes = seccompFilter(process.arch, "outer", "yield");
  if (bytes === null) throw new StartError(`There is no filter of system calls for ${process.arch}`);
  writeFileSync(filter, bytes, { mode: 0o644 });
  const kept = [place.home, place.tmp, place.cageHome, place.state, place.repo];
  if (existsSync(place.serverHomes)) kept.push(place.serverHomes);
  kept.push(
    join(place.config, "jj"),
    join(place.config, "git"),
    ...(await writtenElsewhere(options.server, agent)),
  );
  const files = FILE_VARIABLES.flatMap((name) => options.env[name] ?? []).filter((path) => existsSync(path));
  const system = readSystem();
  const shown = [place.tools, ...programsElsewhere(place, system.shown), place.lib, place.config, place.cage];
  if (existsSync(place.network)) shown.push(place.network);
  const words = outerRing({
    system: withLinks(system, [...shown, ...kept, ...options.show, ...files]),
    shown: [...shown, ...options.show, ...files].map(real),
    kept: kept.map(real),
    // opencode takes settings, and programs to start, from its home, too.
    covered: [{ path: join(real(place.home), ".opencode"), by: putNothing(place) }],
    sockets: place.sockets,
    cwd: place.repo,
    network: "none",
    seccomp: SECCOMP_FD,
    inMemory: inMemory(options.shares),
  });
  const bwrap = realpathSync(join(place.tools, "bin/bwrap"));
  const script = join(place.cage, "with-ways");
  const entrance = `${SERVER_FOLDER}/${OPENCODE_SOCKET}`;
  putFile(script, withWays({ ...putForwarder(place), entrance }), 0o755);
  const ring: Ring = {
    wrap: (command) => [
      ...["sh", "-c", `exec "$@" ${SECCOMP_FD}< "$0"`, filter, bwrap],
      ...[...words, "--", ...limited(command, outerLimits(options.shares, readMachine()))],
    ],
    ways: (port) => [script, String(port)],
    telling: putTelling(place),
    environment: {
      // In place of the developer's own proxy, which is not there.
      ...proxyEnvironment(),
      [SOCKET_VARIABLE]: `${SERVER_FOLDER}/${REVIEW_SOCKET}`,
      [RING_VARIABLE]: shortHash(place.dir),
      [REFUSED_CALLS]: refusedCalls(place),
    },
  };
  const { exitCode, stderr } = await attempt(agent, ring.wrap([...ring.telling, "true"]), "/", agent.env);
  if (exitCode === 0 && stderr === "") return ring;
  const bare = await attempt(agent, ring.wrap(["true"]), "/", agent.env);
  if (bare.exitCode !== 0)
    throw new StartError(`The ring around opencode does not run: ${lastWords(bare.stderr)}`);
  say(`system calls that are refused are not told here: ${lastWords(stderr)}`);
  return { ...ring, telling: [] };
}

const SECCOMP_FD = 9;

/** A folder of settings that says nothing. opencode puts a .gitignore into one that has none, or tries to (1.18). */
function putNothing(place: AgentPlace): string {
  const folder = join(place.cage, "nothing");
  makeFolder(folder, 0o755);
  putFile(join(folder, ".gitignore"), "*\n", 0o644);
  return real(folder);
}

const real = (path: string) => (existsSync(path) ? realpathSync(path) : path);

/** What the server writes outside of its own folders because an option says so: a log, a repository to push to. */
async function writtenElsewhere(server: Given, agent: Identity): Promise<string[]> {
  const found: string[] = [];
  const log = server.feedback_log;
  if (typeof log === "string") {
    const path = resolve(log);
    const made = await runAs(agent, ["sh", "-c", 'mkdir -p "$(dirname "$1")" && : >> "$1"', "sh", path], {
      mayFail: true,
    });
    if (made.exitCode === 0) found.push(path);
  }
  const remote = server["sync.remote"];
  if (typeof remote === "string" && remote.startsWith("/") && existsSync(remote)) found.push(remote);
  return found;
}

/** The system, and the links on the way to these paths: a program finds each by the name that it was told. */
function withLinks(system: System, paths: readonly string[]): System {
  const covered = system.shown.map(({ path }) => path);
  const links = new Map<string, Shown>();
  for (const path of paths.map((one) => resolve(one))) {
    for (const link of linksOn(path)) {
      const seen = covered.some((folder) => link.path === folder || link.path.startsWith(`${folder}${sep}`));
      if (!seen) links.set(link.path, link);
    }
  }
  return { ...system, shown: [...system.shown, ...links.values()] };
}

function linksOn(path: string, most = 40): (Shown & { kind: "link" })[] {
  const { root } = parse(path);
  let at = root;
  const names = path.slice(root.length).split(sep);
  for (const [index, name] of names.entries()) {
    at = join(at, name);
    if (!existsSync(at) || !lstatSync(at).isSymbolicLink()) continue;
    const target = readlinkSync(at);
    const rest = resolve(dirname(at), target, ...names.slice(index + 1));
    return [{ kind: "link", path: at, target }, ...(most > 0 ? linksOn(rest, most - 1) : [])];
  }
  return [];
}
