/**
 * Turns what git says changed into hunks: the smallest things that are decided. Pure; the same commits give the
 * same hunks in the same order, with the same digests.
 */
import { isUtf8 } from "node:buffer";
import { ReviewError } from "../protocol/errors.ts";
import type { HunkKind } from "../protocol/model.ts";
import { concat, EMPTY, fromLatin1, utf8 } from "./bytes.ts";
import { hunkDigest } from "./digest.ts";
import type { Run, Section } from "./patch.ts";
import { displayPath, type RawPath } from "./paths.ts";
import { type Entry, swapGroups } from "./raw.ts";
import { formatRun } from "./unified.ts";

export type Encoding = "utf-8" | "latin1" | "binary";

/** A file on one side of a hunk without lines. */
export interface FoundSide {
  path: RawPath;
  mode: string;
  /** Object id; of a submodule its commit. */
  oid: string;
  /** Bytes; null for a submodule. */
  size: number | null;
  /** Where a symbolic link leads; null for anything else, and for a link that no system could follow. */
  target: Uint8Array | null;
}

export interface FoundSides {
  before: FoundSide[];
  after: FoundSide[];
}

/** A hunk as found between two trees, before anything was decided on it. */
export interface FoundHunk {
  /** Index of its entry in the revision's entries; for a swap the first of the group. */
  entry: number;
  kind: HunkKind;
  /** Path it is listed under: after the change, or before it for a deletion. */
  path: RawPath;
  digest: string;
  oldFrom: number;
  oldCount: number;
  newFrom: number;
  newCount: number;
  contextBefore: number;
  contextAfter: number;
  /** Unified diff bytes, or a sentence for what has no lines. */
  diff: Uint8Array;
  encoding: Encoding;
  atomicReason: string | null;
  /** A swap decides all these entries as one. */
  group: number[] | null;
  /** What stands before and after, where that has no lines. */
  sides?: FoundSides;
}

const isSubmodule = (mode: string | null): boolean => mode === "160000";
const isSymlink = (mode: string | null): boolean => mode === "120000";
const isFile = (mode: string | null): boolean => mode === "100644" || mode === "100755";

export const encodingOf = (text: Uint8Array): Encoding => (isUtf8(text) ? "utf-8" : "latin1");

const side = (mode: string | null, oid: string | null): Uint8Array =>
  mode === null ? EMPTY : utf8(`${mode} ${oid}`);
const WITHOUT_LINES = { oldFrom: 0, oldCount: 0, newFrom: 0, newCount: 0, contextBefore: 0, contextAfter: 0 };

function operation(
  entry: number,
  kind: HunkKind,
  path: RawPath,
  before: Uint8Array,
  after: Uint8Array,
  sentence: string,
  atomicReason: string,
): FoundHunk {
  return {
    ...WITHOUT_LINES,
    entry,
    kind,
    path,
    digest: hunkDigest(kind, path, before, after),
    diff: utf8(`${sentence}\n`),
    encoding: "binary",
    atomicReason,
    group: null,
  };
}

function textHunk(
  entry: number,
  kind: "text" | "create" | "delete",
  path: RawPath,
  run: Run,
  mode: string,
): FoundHunk {
  const diff = formatRun(run);
  const before = kind === "delete" ? concat([utf8(`${mode}\n`), run.old]) : run.old;
  const after = kind === "create" ? concat([utf8(`${mode}\n`), run.new]) : run.new;
  return {
    entry,
    kind,
    path,
    digest: hunkDigest(kind, path, before, after),
    oldFrom: run.oldFrom,
    oldCount: run.oldCount,
    newFrom: run.newFrom,
    newCount: run.newCount,
    contextBefore: run.beforeCount,
    contextAfter: run.afterCount,
    diff,
    encoding: encodingOf(diff),
    atomicReason: null,
    group: null,
  };
}

const EMPTY_RUN: Run = {
  oldFrom: 0,
  oldCount: 0,
  newFrom: 0,
  newCount: 0,
  old: EMPTY,
  new: EMPTY,
  before: EMPTY,
  beforeCount: 0,
  after: EMPTY,
  afterCount: 0,
};

function wholeFile(index: number, entry: Entry, section: Section): FoundHunk {
  const kind = entry.oldPath === null ? "create" : "delete";
  const path = (entry.newPath ?? entry.oldPath) as RawPath;
  const mode = (entry.newMode ?? entry.oldMode) as string;
  const verb = kind === "create" ? "Creates" : "Deletes";
  const before = side(entry.oldMode, entry.oldOid);
  const after = side(entry.newMode, entry.newOid);
  const one = (what: string, reason: string) =>
    operation(index, kind, path, before, after, `${verb} ${what} ${displayPath(path)}`, reason);
  if (isSubmodule(mode)) return one("submodule", "a submodule is a single commit id");
  if (isSymlink(mode)) return one("symbolic link", "a symbolic link has one target");
  if (section.binary) return one("binary file", "binary content has no lines");
  return textHunk(index, kind, path, section.runs[0] ?? EMPTY_RUN, mode);
}

function changedFile(index: number, entry: Entry, section: Section): FoundHunk[] {
  const path = entry.newPath as RawPath;
  const before = side(entry.oldMode, entry.oldOid);
  const after = side(entry.newMode, entry.newOid);
  const shown = displayPath(path);
  if (entry.status === "T" || (isFile(entry.oldMode) !== isFile(entry.newMode) && entry.status !== "R")) {
    const sentence = `Changes the type of ${shown} from ${typeName(entry.oldMode)} to ${typeName(entry.newMode)}`;
    return [operation(index, "type", path, before, after, sentence, "a file's type changes as a whole")];
  }
  const hunks: FoundHunk[] = [];
  if (entry.status === "R") {
    const old = entry.oldPath as RawPath;
    const sentence = `Renames ${displayPath(old)} to ${shown}`;
    hunks.push(
      operation(index, "rename", path, fromLatin1(old), fromLatin1(path), sentence, "a file has one name"),
    );
  }
  if (entry.oldMode !== entry.newMode) {
    const sentence = `Changes the mode of ${shown} from ${entry.oldMode} to ${entry.newMode}`;
    hunks.push(
      operation(
        index,
        "mode",
        path,
        utf8(`${entry.oldMode}`),
        utf8(`${entry.newMode}`),
        sentence,
        "a file has one mode",
      ),
    );
  }
  if (entry.oldOid === entry.newOid) return hunks;
  const one = (kind: HunkKind, what: string, reason: string) =>
    hunks.push(operation(index, kind, path, before, after, `Changes ${what} ${shown}`, reason));
  if (isSubmodule(entry.newMode)) one("submodule", "submodule", "a submodule is a single commit id");
  else if (isSymlink(entry.newMode))
    one("symlink", "the target of symbolic link", "a symbolic link has one target");
  else if (section.binary) one("binary", "binary file", "binary content has no lines");
  else
    for (const run of section.runs) hunks.push(textHunk(index, "text", path, run, entry.newMode as string));
  return hunks;
}

const typeName = (mode: string | null): string =>
  isSubmodule(mode) ? "submodule" : isSymlink(mode) ? "symbolic link" : "file";

function swap(entries: Entry[], group: number[]): FoundHunk {
  const line = (path: RawPath | null, mode: string | null, oid: string | null) =>
    path === null ? EMPTY : concat([side(mode, oid), utf8(" "), fromLatin1(path), utf8("\n")]);
  const members = group.map((index) => entries[index] as Entry);
  const before = concat(members.map((member) => line(member.oldPath, member.oldMode, member.oldOid)));
  const after = concat(members.map((member) => line(member.newPath, member.newMode, member.newOid)));
  const gone = members.flatMap((member) => (member.oldPath === null ? [] : [displayPath(member.oldPath)]));
  const made = members.flatMap((member) => (member.newPath === null ? [] : [displayPath(member.newPath)]));
  const first = group[0] as number;
  const shortest = members
    .map((member) => (member.newPath ?? member.oldPath) as RawPath)
    .reduce((a, b) => (b.length < a.length ? b : a));
  const sentence = `Replaces ${gone.join(", ")} by ${made.join(", ")}`;
  const reason = "a file and a directory of the same name cannot both exist";
  return { ...operation(first, "swap", shortest, before, after, sentence, reason), group };
}

/** Whether renames must be taken apart before {@link HunkFinder} may be given these entries. */
export function renamesInSwaps(entries: Entry[]): boolean {
  const groups = swapGroups(entries);
  return entries.some((entry, index) => entry.status === "R" && groups[index] !== -1);
}

/** Finds the hunks of two trees from what git says changed and, file by file, how. */
export class HunkFinder {
  readonly #entries: Entry[];
  readonly #groups: number[];
  readonly #seen = new Set<number>();
  readonly #hunks: FoundHunk[] = [];
  #at = 0;
  #skip = 0;

  /** @param entries from {@link parseRaw} */
  constructor(entries: Entry[]) {
    this.#entries = entries;
    this.#groups = swapGroups(entries);
  }

  /** @param sections the next ones from {@link parsePatch} of the same two trees with the same rename detection */
  take(sections: Section[]): void {
    for (const section of sections) {
      if (this.#skip > 0) this.#skip -= 1;
      else this.#next(section);
    }
  }

  #next(section: Section): void {
    const index = this.#at++;
    const entry = this.#entries[index];
    if (entry === undefined)
      throw new ReviewError("git_error", "git diff-tree -p showed more files than git diff-tree --raw");
    // git shows a change of type as a deletion and a creation.
    if (entry.status === "T") this.#skip = 1;
    const group = this.#groups[index] as number;
    if (group !== -1) this.#swap(group);
    else if (entry.oldPath === null || entry.newPath === null)
      this.#hunks.push(wholeFile(index, entry, section));
    else for (const hunk of changedFile(index, entry, section)) this.#hunks.push(hunk);
  }

  #swap(group: number): void {
    if (this.#seen.has(group)) return;
    this.#seen.add(group);
    const members = this.#groups.flatMap((other, member) => (other === group ? [member] : []));
    this.#hunks.push(swap(this.#entries, members));
  }

  /** @returns hunks in the order of entries and lines */
  end(): FoundHunk[] {
    if (this.#at !== this.#entries.length || this.#skip > 0)
      throw new ReviewError("git_error", "git diff-tree -p showed fewer files than git diff-tree --raw");
    return this.#hunks;
  }
}

/** Lines of a stored unified diff that a hunk removes and adds, in bytes; the inverse of {@link formatRun}. */
export function linesOfDiff(diff: Uint8Array): { old: Uint8Array; new: Uint8Array } {
  const removed: Uint8Array[] = [];
  const added: Uint8Array[] = [];
  let last: Uint8Array[] | null = null;
  let at = diff.indexOf(10) + 1;
  while (at > 0 && at < diff.length) {
    const end = diff.indexOf(10, at) + 1 || diff.length;
    const sign = diff[at];
    if (sign === 0x5c) {
      const open = last?.pop();
      if (open !== undefined) last?.push(open.subarray(0, -1));
    } else {
      last = sign === 0x2d ? removed : sign === 0x2b ? added : null;
      last?.push(diff.subarray(at + 1, end));
    }
    at = end;
  }
  return { old: concat(removed), new: concat(added) };
}
