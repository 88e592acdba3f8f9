/**
 * The agent's side on disk: tools, programs and configuration that the agent can read and not change, and a home, a
 * repository and a state folder of its own. Root writes only into folders that belong to root.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { copyTools } from "../provision.mjs";
import { type Identity, readAs, writeAs } from "./identity.ts";
import { type AgentPlace, type DeveloperPlace, ROOT } from "./places.ts";
import { StartError, say } from "./report.ts";

/** Says in the base folder which copy of this project made a project folder; see the tear-down. */
export const ORIGIN = "origin.json";

export interface Origin {
  root: string;
  developer: string;
  /** The agent's user; not there in what was made when all projects had one. */
  user?: string;
}

/** Folders, programs and tools of the agent. Idempotent. */
export async function prepareAgentPlace(
  place: AgentPlace,
  agent: Identity,
  developer: DeveloperPlace,
): Promise<void> {
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const group = place.separate ? agent.gid : own.gid;
  makeFolder(place.base, 0o755);
  makeFolder(place.lib, 0o755);
  if (place.separate) {
    makeFolder(join(place.base, "projects"), 0o755);
    await copyTools({ from: ROOT, to: place.tools, log: say });
  }
  makeFolder(place.dir, place.separate ? 0o750 : 0o755, group);
  if (place.separate)
    putFile(
      join(place.dir, ORIGIN),
      JSON.stringify({ root: ROOT, developer: developer.dir, user: agent.name } satisfies Origin),
      0o644,
    );
  // Root's: the agent can add no plugin, and not put another folder in this one's place. jj keeps settings of
  // repositories beside its own, so these two are the agent's.
  makeFolder(place.config, 0o755);
  for (const folder of [join(place.config, "jj"), join(place.config, "git")])
    giveFolder(folder, 0o755, place, agent);
  makeFolder(join(place.config, "opencode"), 0o755);
  copyFileIn(join(ROOT, "plugin/dist/suggestion-manager.js"), join(place.lib, "suggestion-manager.js"));
  for (const folder of [place.home, place.tmp, place.state]) giveFolder(folder, 0o700, place, agent);
  if (place.separate && statSync(place.state).uid !== agent.uid) {
    throw new StartError(
      `${place.state} is not the agent's: name a folder that is not there yet, or give it to ${agent.name}`,
    );
  }
}

/** Environment of everything that runs as the agent in one of its places: nothing of the developer's. */
export function agentEnvironment(place: AgentPlace, agent: Identity): Record<string, string> {
  return {
    ...agent.env,
    HOME: place.home,
    TMPDIR: place.tmp,
    PATH: `${join(place.tools, "bin")}:${agent.env.PATH ?? "/usr/bin:/bin"}`,
    XDG_CONFIG_HOME: place.config,
    XDG_DATA_HOME: join(place.home, ".local/share"),
    XDG_STATE_HOME: join(place.home, ".local/state"),
    XDG_CACHE_HOME: join(place.home, ".cache"),
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_NOSYSTEM: "1",
    SUGGESTION_MANAGER_STATE: place.state,
  };
}

/**
 * The developer's token, in a file of the developer's; only its hash goes to the agent's side.
 * @returns the token
 */
export async function ensureToken(
  developer: DeveloperPlace,
  owner: Identity,
  place: AgentPlace,
  agent: Identity,
): Promise<string> {
  let token = (await readAs(owner, developer.token))?.trim() ?? "";
  const isNew = token === "";
  if (isNew) token = `smd_${randomBytes(32).toString("base64url")}`;
  const hashes = join(place.state, "tokens.json");
  const kept = readList(await readAs(agent, hashes), hashes);
  const stands = (one: string) =>
    kept.some(({ role, sha256 }) => role === "developer" && sha256 === sha256Of(one));
  if (!stands(token)) {
    if (isNew || !kept.some(({ role }) => role === "developer")) {
      const added = { role: "developer", sha256: sha256Of(token), created: new Date().toISOString() };
      await writeAs(agent, hashes, `${JSON.stringify({ tokens: [...kept, added] }, null, 2)}\n`);
    } else {
      // Replaced since the last start: the old one is not let in again.
      const rotated = (await readAs(agent, join(place.state, "token")))?.trim() ?? "";
      if (!/^smd_[\w-]{43}$/.test(rotated) || !stands(rotated)) {
        throw new StartError(
          `The token in ${developer.token} was replaced by a rotation: put the new token into that file, or delete the file and start again for another one`,
        );
      }
      token = rotated;
      say(`the token was rotated: ${developer.token} now has the new one`);
    }
  }
  await writeAs(owner, developer.token, `${token}\n`);
  await writeAs(owner, developer.header, `Authorization: Bearer ${token}\nContent-Type: application/json\n`);
  return token;
}

const sha256Of = (text: string) => createHash("sha256").update(text).digest("hex");

interface TokenEntry {
  role: string;
  sha256: string;
}

function readList(text: string | null, path: string): TokenEntry[] {
  if (text === null) return [];
  try {
    const { tokens } = JSON.parse(text) as { tokens: TokenEntry[] };
    if (!Array.isArray(tokens)) throw new TypeError("no list");
    return tokens;
  } catch {
    throw new StartError(`${path} is not a list of tokens: move it away and start again`);
  }
}

/** A new folder of the agent's in one of root's; one that is there is the agent's already and left alone. */
export function giveFolder(path: string, mode: number, place: AgentPlace, agent: Identity): void {
  if (existsSync(path)) return;
  makeFolder(path, mode);
  if (place.separate) chownSync(path, agent.uid, agent.gid);
}

export function makeFolder(path: string, mode: number, gid?: number): void {
  mkdirSync(path, { recursive: true });
  if (gid !== undefined && process.getuid?.() === 0) chownSync(path, 0, gid);
  chmodSync(path, mode);
}

export function putFile(path: string, content: string, mode: number, gid?: number): void {
  if (isAsWanted(path, content, mode, gid)) return;
  const temporary = `${path}.tmp-${process.pid}`;
  writeFileSync(temporary, content, { mode: 0o600 });
  if (gid !== undefined && process.getuid?.() === 0) chownSync(temporary, 0, gid);
  chmodSync(temporary, mode);
  renameSync(temporary, path);
}

/** Whether a file of ours is there already: what looks at things leaves no trace by writing it again. */
function isAsWanted(path: string, content: string, mode: number, gid: number | undefined): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  return (
    stat?.isFile() === true &&
    stat.uid === process.getuid?.() &&
    (gid === undefined || stat.gid === gid) &&
    (stat.mode & 0o7777) === mode &&
    readFileSync(path, "utf8") === content
  );
}

/** Copied only when it differs: another run may be using it. */
export function copyFileIn(from: string, to: string): void {
  if (existsSync(to) && readFileSync(from).equals(readFileSync(to))) return;
  const temporary = `${to}.tmp-${process.pid}`;
  copyFileSync(from, temporary);
  chmodSync(temporary, 0o644);
  renameSync(temporary, to);
}
