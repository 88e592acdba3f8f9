/**
 * What lies in the agent's working copy and cannot be in a change, and of which jj says nothing: FIFOs, sockets and
 * devices, repositories inside the repository, and work inside submodules. Only looks. Nothing that the working copy
 * configures is run: the commands here read no attributes, so no filter, and start no file system monitor.
 */
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { toLatin1 } from "../diff/bytes.ts";
import { EMPTY_TREE, Git } from "./git.ts";
import type { Jj } from "./jj.ts";

/** More of a kind are counted, not named. */
const NAMED = 20;
/** Directories that are read at the same time. */
const AT_ONCE = 16;

interface Found {
  /** Path and what it is. */
  special: { path: string; kind: string }[];
  /** Directories with a `.git` of their own. */
  nested: string[];
}

const list = (paths: string[]): string =>
  [...paths.slice(0, NAMED), ...(paths.length > NAMED ? [`… and ${paths.length - NAMED} more`] : [])].join(
    ", ",
  );

/** Goes through the working copy, not into repositories inside it. */
async function walk(root: string): Promise<Found> {
  const found: Found = { special: [], nested: [] };
  const waiting = [""];
  const visit = async (folder: string): Promise<void> => {
    // A directory may go while it is being looked at, and one that cannot be read holds nothing that jj could take.
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => []);
    if (folder !== "" && entries.some(({ name }) => name === ".git")) {
      found.nested.push(folder);
      return;
    }
    for (const entry of entries) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (entry.name !== ".git" && entry.name !== ".jj") waiting.push(path);
      } else if (entry.isFIFO()) found.special.push({ path, kind: "a FIFO" });
      else if (entry.isSocket()) found.special.push({ path, kind: "a socket" });
      else if (entry.isBlockDevice() || entry.isCharacterDevice())
        found.special.push({ path, kind: "a device" });
    }
  };
  while (waiting.length > 0) await Promise.all(waiting.splice(0, AT_ONCE).map(visit));
  found.nested.sort();
  found.special.sort((a, b) => (a.path < b.path ? -1 : 1));
  return found;
}

/** Paths of these that `.gitignore` does not name. */
async function notIgnored(jj: Jj, paths: string[]): Promise<Set<string>> {
  const kept = new Set(paths);
  if (paths.length === 0) return kept;
  const store = await jj.store();
  const { stdout } = await store.run(
    ["-c", "core.fsmonitor=false", "--work-tree", jj.dir, "check-ignore", "-z", "--stdin"],
    // 128: it will not say; better one remark too many.
    { cwd: jj.dir, input: `${paths.join("\0")}\0`, expect: [0, 1, 128] },
  );
  for (const path of new TextDecoder().decode(stdout).split("\0")) kept.delete(path);
  return kept;
}

/** Commits of the submodules among these paths, by path. */
async function submodulesOf(jj: Jj, commit: string, paths: string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  if (paths.length === 0) return found;
  const store = await jj.store();
  const { stdout } = await store.run(
    ["ls-tree", "-z", "--full-tree", commit, "--", ...paths.map((path) => `:(literal)${path}`)],
    { env: { GIT_LITERAL_PATHSPECS: "0" } },
  );
  for (const record of new TextDecoder().decode(stdout).split("\0")) {
    const match = /^160000 commit ([0-9a-f]+)\t(.*)$/s.exec(record);
    if (match?.[1] !== undefined && match[2] !== undefined) found.set(match[2], match[1]);
  }
  return found;
}

/** The git directory of a repository that lies in `dir`. */
async function gitDirOf(dir: string): Promise<string> {
  const place = join(dir, ".git");
  const text = await readFile(place, "utf8").catch(() => null);
  const named = text === null ? null : /^gitdir: (.*)\n?$/.exec(text)?.[1];
  return named === undefined || named === null ? place : resolve(dir, named);
}

const paths = (output: Uint8Array): string[] => new TextDecoder().decode(output).split("\0").filter(Boolean);

/** Files of a submodule that differ from its own commit, and new ones. */
async function editedIn(git: Git, dir: string): Promise<string[]> {
  const plain = [`--attr-source=${EMPTY_TREE}`, "-c", "core.fsmonitor=false", "--work-tree", dir];
  const [touched, staged, added] = await Promise.all([
    git.run([...plain, "diff-files", "--raw", "--no-abbrev", "--ignore-submodules=all", "-z"], { cwd: dir }),
    git.run([...plain, "diff-index", "--cached", "--name-only", "-z", "HEAD"], { cwd: dir }),
    git.run([...plain, "ls-files", "--others", "--exclude-standard", "-z"], { cwd: dir }),
  ]);
  const edited = new Set([...paths(staged.stdout), ...paths(added.stdout)]);
  const records = toLatin1(touched.stdout).split("\0");
  for (let at = 0; at + 1 < records.length; at += 2) {
    // ":<old mode> <new mode> <object in the index> <zeros> <status>"
    const [, , oid, , status] = (records[at] as string).split(" ");
    const path = Buffer.from(records[at + 1] as string, "latin1").toString();
    // A file may be another one for its times only.
    const same =
      status === "M" &&
      (await git.text(["hash-object", "--no-filters", "--", join(dir, path)]).catch(() => "")) === oid;
    if (!same) edited.add(path);
  }
  return [...edited].sort();
}

/** What is said of one submodule; nothing where it is as the change has it. */
async function remarksOn(dir: string, path: string, recorded: string): Promise<string[]> {
  const git = new Git(await gitDirOf(join(dir, path)));
  const remarks: string[] = [];
  const head = await git.resolve("HEAD");
  if (head === null) return remarks;
  if (head !== recorded) {
    remarks.push(
      `${path}: the submodule is at commit ${head.slice(0, 12)}, but jj does not take that: the suggestion keeps ${recorded.slice(0, 12)}`,
    );
  }
  const edited = await editedIn(git, join(dir, path));
  if (edited.length > 0)
    remarks.push(`${path}: edits inside a submodule are not part of the suggestion (${list(edited)})`);
  return remarks;
}

/** Remarks on what is in the working copy and not in the change, as jj does not tell it. */
export async function leftOut(jj: Jj, walked: Promise<Found>, commit: string): Promise<string[]> {
  const { special, nested } = await walked;
  const kept = await notIgnored(jj, [...special.map(({ path }) => path), ...nested]);
  const submodules = await submodulesOf(jj, commit, nested);
  const remarks: string[] = [];
  for (const kind of ["a FIFO", "a socket", "a device"]) {
    const named = special.filter((one) => one.kind === kind && kept.has(one.path)).map(({ path }) => path);
    if (named.length > 0) remarks.push(`${list(named)}: ${kind} cannot be part of a suggestion`);
  }
  for (const path of nested) {
    const recorded = submodules.get(path);
    if (recorded === undefined) continue;
    // A submodule that is broken is no reason not to publish.
    const said = await remarksOn(jj.dir, path, recorded).catch((thrown: Error) => [
      `${path}: the submodule could not be looked at (${thrown.message})`,
    ]);
    remarks.push(...said);
  }
  const own = nested.filter((path) => kept.has(path) && !submodules.has(path));
  if (own.length > 0)
    remarks.push(`${list(own)}: a repository inside the repository; nothing in it is part of the suggestion`);
  return remarks;
}

/** Begins to look through the working copy; the answer is for {@link leftOut}. */
export function lookThrough(jj: Jj): Promise<Found> {
  return walk(jj.dir);
}
