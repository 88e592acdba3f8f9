/**
 * Writes composed trees as commits, in one `git fast-import` whatever their size. Commits made here are off every
 * shared branch until sync or settle gives them a name.
 */

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { concat, toLatin1, utf8 } from "../diff/bytes.ts";
import { type ComposedChange, compose, neededBlobs, type Piece } from "../diff/compose.ts";
import { quotePath } from "../diff/paths.ts";
import type { Entry } from "../diff/raw.ts";
import { ReviewError } from "../protocol/errors.ts";
import { EMPTY_TREE, type Git, ZERO } from "./git.ts";
import type { RunResult } from "./run.ts";

export interface WrittenCommit {
  commit: string;
  tree: string;
}

export interface CommitOptions {
  /** Ref that keeps the commit; moved by force. */
  ref: string;
  /** Another ref for the same commit. */
  keptBy?: string;
  parent: string;
  message: string;
  /** Raw identity lines, e.g. `Ada <ada@example.org> 1760000000 +0000`. */
  author?: string;
  committer?: string;
}

const NOBODY = "suggestion-manager <suggestion-manager@localhost> 0 +0000";

/** Names that only other systems find dangerous (`git~1`) are in the agent's trees already; nothing is checked out here. */
const ANY_NAME = ["-c", "core.protectNTFS=false", "-c", "core.protectHFS=false"];

/** Composes and writes one tree on a base. See git-fast-import(1) for the stream's grammar. */
export async function writeComposed(
  git: Git,
  base: string,
  entries: Entry[],
  pieces: Piece[],
  options: CommitOptions,
): Promise<WrittenCommit> {
  const blobs = await git.readObjects(neededBlobs(entries, pieces));
  const change = compose(entries, pieces, (oid) => {
    const blob = blobs.get(oid);
    if (blob === undefined)
      throw new ReviewError("git_error", `Object ${oid} of the base is missing from ${git.dir}`);
    return blob.bytes;
  });
  return writeChange(git, base, change, options);
}

/** @param base commit whose tree the change is made on; {@link ZERO} for none */
export async function writeChange(
  git: Git,
  base: string,
  change: ComposedChange,
  options: CommitOptions,
): Promise<WrittenCommit> {
  const parts: Uint8Array[] = [];
  const say = (text: string) => parts.push(utf8(text));
  const data = (bytes: Uint8Array) => {
    say(`data ${bytes.length}\n`);
    parts.push(bytes);
    say("\n");
  };
  say("feature done\nfeature ls\nfeature get-mark\n");
  say(`commit ${options.ref}\nmark :1\n`);
  say(`author ${options.author ?? NOBODY}\ncommitter ${options.committer ?? options.author ?? NOBODY}\n`);
  data(utf8(options.message));
  // The tree is the base's; the parent may be another commit (after a rebase), so the tree is named outright.
  if (options.parent !== ZERO) say(`from ${options.parent}\n`);
  if (base !== options.parent) {
    say("deleteall\n");
    if (base !== ZERO) say(`M 040000 ${await git.treeOf(base)} ""\n`);
  }
  for (const path of change.removed) say(`D ${quotePath(path)}\n`);
  for (const file of change.files) {
    if ("oid" in file) {
      say(`M ${file.mode} ${file.oid} ${quotePath(file.path)}\n`);
    } else {
      say(`M ${file.mode} inline ${quotePath(file.path)}\n`);
      data(file.content);
    }
  }
  if (options.keptBy !== undefined) say(`\nreset ${options.keptBy}\nfrom :1\n`);
  say("\nget-mark :1\n");
  say('ls :1 ""\n');
  say("done\n");
  const { stdout } = await fastImport(git, concat(parts));
  const [commit, listing] = toLatin1(stdout).split("\n");
  const tree = /^040000 tree ([0-9a-f]+)/.exec(listing ?? "")?.[1] ?? EMPTY_TREE;
  if (commit === undefined || !/^[0-9a-f]{40}$/.test(commit)) {
    throw new ReviewError("git_error", "git fast-import did not name the commit it wrote");
  }
  return { commit, tree };
}

async function fastImport(git: Git, input: Uint8Array): Promise<RunResult> {
  const before = new Set(await importLeftovers(git.dir));
  try {
    return await git.run([...ANY_NAME, "fast-import", "--quiet", "--force", "--done", "--date-format=raw"], {
      input,
    });
  } catch (thrown) {
    // It leaves a report and its half-written pack; on a full disk these are what is in the way.
    const left = (await importLeftovers(git.dir)).filter((path) => !before.has(path));
    await Promise.all(left.map((path) => rm(path, { force: true })));
    throw thrown;
  }
}

/** Files that a git fast-import which failed or was killed leaves behind; a finished one has none. */
export async function importLeftovers(dir: string): Promise<string[]> {
  const packs = join(dir, "objects", "pack");
  const [top, packed] = await Promise.all([dir, packs].map((path) => readdir(path).catch(() => [])));
  return [
    ...(top ?? []).filter((name) => name.startsWith("fast_import_crash_")).map((name) => join(dir, name)),
    ...(packed ?? []).filter((name) => /^tmp_(pack|idx)_/.test(name)).map((name) => join(packs, name)),
  ];
}
