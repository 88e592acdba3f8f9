/**
 * Where things are. The developer's side is below `.local/` of this folder. The agent's side is below a folder of
 * its own when the agent is a user of its own, else beside the developer's.
 *
 *     .local/demo/<n>/ or .local/projects/<name>/     /var/lib/isolated-ai-coder/
 *       checkout/       (demo only)                     tools/ lib/                 root's, readable
 *       token           0600                            projects/<id>/              root's, closed to others
 *       init.lua  log/  nvim/                             config/opencode/          root's, readable to the agent
 *       state.json  run.json                              home/ tmp/ state/ <name>/ the agent's
 *       door/           0700                              sockets/                  the agent's
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { defaultHubName } from "../../plugin/src/vcs/project.ts";
import type { RunRecord } from "./processes.ts";

export const ROOT = join(import.meta.dir, "../..");
export const LOCAL = process.env.ISOLATED_AI_CODER_LOCAL || join(ROOT, ".local");
export const DEFAULT_USER = "ai-coder";
export const AGENT_USER = process.env.ISOLATED_AI_CODER_USER || DEFAULT_USER;
/** Users of projects are named after this one; see {@link agentUserOf}. Names are short (useradd(8): 32 characters). */
export const USER_PREFIX = `${AGENT_USER.slice(0, 22)}-`;
/** Root's folder for the agent's side of everything. */
export const AGENT_BASE =
  AGENT_USER === DEFAULT_USER ? "/var/lib/isolated-ai-coder" : `/var/lib/isolated-ai-coder.${AGENT_USER}`;

/** The developer's side of a demo or project. */
export interface DeveloperPlace {
  dir: string;
  checkout: string;
  token: string;
  /** The token as an HTTP header line, for curl's `-H @file`. */
  header: string;
  init: string;
  log: string;
  nvim: string;
  state: string;
  run: string;
  /** A socket of the review server's that needs no token, in a folder that the developer alone can enter. */
  door: string;
}

/** The agent's side of it. */
export interface AgentPlace {
  /** Whether the agent is a user of its own, with a base folder that belongs to root. */
  separate: boolean;
  base: string;
  tools: string;
  lib: string;
  dir: string;
  config: string;
  home: string;
  tmp: string;
  /** The launcher's: the program and the settings of the ring around the agent's commands. */
  cage: string;
  /** Sockets of the way to the network; see network.ts. */
  network: string;
  /** The only home that those commands see. */
  cageHome: string;
  /** With a home for each MCP server of the developer's. */
  serverHomes: string;
  /** The agent's: where the server in its ring makes its socket. */
  sockets: string;
  state: string;
  repo: string;
}

/** What is remembered between starts. */
export interface Remembered {
  version: 1;
  /** "separate" or "same": a demo begun one way is not gone on with the other way. */
  agent: { user: string; separate: boolean; dir: string; repo: string; state?: string };
  checkout: string;
  /** Name of the remote in the checkout that leads to the hub. */
  remote?: string;
  /** Every suggestion was finalized or discarded. */
  finished: boolean;
  created: string;
}

export function developerPlace(dir: string, checkout = join(dir, "station-report")): DeveloperPlace {
  return {
    dir,
    checkout,
    token: join(dir, "token"),
    header: join(dir, "authorization"),
    init: join(dir, "init.lua"),
    log: join(dir, "log"),
    nvim: join(dir, "nvim"),
    state: join(dir, "state.json"),
    run: join(dir, "run.json"),
    door: join(dir, "door", "review.sock"),
  };
}

/** @param state the server's state folder, where it is another than usual */
export function agentPlace(developer: DeveloperPlace, separate: boolean, state?: string): AgentPlace {
  const base = separate ? AGENT_BASE : join(developer.dir, "agent");
  const dir = separate ? join(base, "projects", agentId(developer)) : base;
  return {
    separate,
    base,
    tools: separate ? join(base, "tools") : join(ROOT, ".tools"),
    lib: join(base, "lib"),
    dir,
    config: join(dir, "config"),
    home: join(dir, "home"),
    tmp: join(dir, "tmp"),
    cage: join(dir, "cage"),
    network: join(dir, "network"),
    cageHome: join(dir, "cage-home"),
    serverHomes: join(dir, "server-homes"),
    sockets: join(dir, "sockets"),
    state: state ?? join(dir, "state"),
    repo: join(dir, basename(developer.checkout).replace(/^[-.]+/, "") || "project"),
  };
}

/**
 * The Unix user of a demo's or a project's agent: each has its own, so that one agent reaches nothing of another's. What
 * was begun with the one user that there used to be goes on with it.
 */
export function agentUserOf(developer: DeveloperPlace): string {
  const own = `${USER_PREFIX}${shortHash(placeOf(developer))}`;
  const begun = readState(developer)?.agent;
  return begun?.separate === true && begun.user === AGENT_USER ? AGENT_USER : own;
}

/** Where a folder of the developer's is or will be, by its real path. */
function placeOf({ dir }: DeveloperPlace): string {
  let there = dirname(dir);
  while (!existsSync(there)) there = dirname(there);
  return join(realpathSync(there), relative(there, dir));
}

/** Readable, and apart from those of other copies of this folder on the machine. */
export function agentId(developer: DeveloperPlace): string {
  const path = placeOf(developer);
  const name =
    basename(dirname(developer.dir)) === "demo" ? `demo-${basename(developer.dir)}` : basename(developer.dir);
  return `${name}-${shortHash(path)}`;
}

export const shortHash = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 8);

/** Name of the hub, as the server finds it by the agent's repository. */
export const hubName = (agent: AgentPlace) =>
  defaultHubName(agent.separate ? agent.repo : join(realpathSync(agent.dir), basename(agent.repo)));
export const hubDir = (agent: AgentPlace) => join(agent.state, "git", `${hubName(agent)}.git`);
export const remoteUrl = (agent: AgentPlace, port: number, host: string) =>
  `${serverUrl(host, port)}/git/${hubName(agent)}.git`;

/** Where to reach a server on this machine that is bound to `host`. */
export function reachableAt(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
export const serverUrl = (host: string, port: number) =>
  `http://${host.includes(":") ? `[${host}]` : host}:${port}`;

/** Folders of the demos, oldest first. */
export function demoDirs(): string[] {
  const parent = join(LOCAL, "demo");
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(a) - Number(b))
    .map((name) => join(parent, name));
}

export function nextDemoDir(): string {
  return join(LOCAL, "demo", String(Number(basename(demoDirs().at(-1) ?? "0")) + 1));
}

export function projectDirs(): string[] {
  const parent = join(LOCAL, "projects");
  return existsSync(parent) ? readdirSync(parent).map((name) => join(parent, name)) : [];
}

export function projectDir(repository: string): string {
  const name =
    basename(repository)
      .replace(/[^A-Za-z0-9._-]/g, "-")
      .replace(/^[-.]+/, "") || "project";
  return join(LOCAL, "projects", `${name}-${shortHash(repository)}`);
}

function readJson<T>(path: string): T | null {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch {
    return null;
  }
}

function writeJson(path: string, value: unknown): void {
  const temporary = `${path}.tmp-${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(temporary, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}

export const readState = (place: DeveloperPlace) => readJson<Remembered>(place.state);
export const writeState = (place: DeveloperPlace, state: Remembered) => writeJson(place.state, state);
export const readRun = (place: { run: string }) => readJson<RunRecord>(place.run);
export const writeRun = (place: { run: string }, run: RunRecord) => writeJson(place.run, run);

/** Runs of this copy of the folder, as their records say. */
export function runRecords(): { place: DeveloperPlace; run: RunRecord }[] {
  return [...demoDirs(), ...projectDirs()].flatMap((dir) => {
    const place = developerPlace(dir);
    const run = readRun(place);
    return run === null ? [] : [{ place, run }];
  });
}
