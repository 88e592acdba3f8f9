/**
 * What the agent's files held: as git objects in a repository beside the agent's, which no command of the agent's sees.
 * One file is read and kept within this process; all files are looked at by git, through an index of our own that knows
 * what has changed by size and times.
 */
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { concat, fromLatin1, toLatin1, utf8 } from "../diff/bytes.ts";
import type { RawPath } from "../diff/paths.ts";
import { ReviewError } from "../protocol/errors.ts";
import { type Git, openBare } from "./git.ts";

/** What a file is: `<mode> <object id>`, {@link ABSENT} or {@link NOT_KEPT}. */
export type FileState = string;
export const ABSENT: FileState = "-";
/** There is something, and what it holds was not kept: it is too large, or no file. */
export const NOT_KEPT: FileState = "?";

/** Of one file, and of all that is kept. */
const MOST_FILE_BYTES = 4 * 1024 * 1024;
const MOST_KEPT_BYTES = 256 * 1024 * 1024;
/** Files that one look may find changed; an install of packages that nothing ignores is more than anybody reviews. */
const MOST_FILES = 50_000;
/** Paths in one command line. */
const PATHS_AT_ONCE = 500;
const LOOK_MS = 20_000;

export const oidOf = (state: FileState): string | null =>
  state === ABSENT || state === NOT_KEPT ? null : (state.split(" ")[1] ?? null);
export const modeOf = (state: FileState): string | null =>
  state === ABSENT || state === NOT_KEPT ? null : (state.split(" ")[0] ?? null);

/** A file as it was read, to be kept if it turns out to be needed. */
export interface ReadFile {
  state: FileState;
  content: Uint8Array | null;
}

export class FileMemory {
  /** What each file held when all were last looked at; null before that was ever done. */
  #known: Map<RawPath, FileState> | null = null;

  private constructor(
    private readonly git: Git,
    private readonly worktree: string,
  ) {}

  /**
   * @param dir of the repository, which is made if it is not there
   * @param store the agent's own, whose objects need not be kept twice
   */
  static async open(dir: string, worktree: string, store: string): Promise<FileMemory> {
    const git = await openBare(dir);
    mkdirSync(join(dir, "info"), { recursive: true });
    // Files as they are: no attribute of theirs converts anything.
    writeFileSync(
      join(dir, "info/attributes"),
      "* -text -filter -ident -working-tree-encoding -diff -merge\n",
    );
    const excludes = join(store, "info/exclude");
    writeFileSync(join(dir, "info/exclude"), existsSync(excludes) ? readFileSync(excludes) : "");
    writeFileSync(join(dir, "objects/info/alternates"), `${join(store, "objects")}\n`);
    // Only ours is ever there, and of a process that was killed.
    rmSync(join(dir, "index.lock"), { force: true });
    return new FileMemory(git, worktree);
  }

  /** A file as it is now. */
  read(path: RawPath): ReadFile {
    const place = Buffer.concat([Buffer.from(`${this.worktree}/`), fromLatin1(path)]);
    let file: number | undefined;
    try {
      const seen = lstatSync(place);
      if (seen.isSymbolicLink()) return this.#asRead("120000", readlinkSync(place, { encoding: "buffer" }));
      if (!seen.isFile() || seen.size > MOST_FILE_BYTES) return { state: NOT_KEPT, content: null };
      file = openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      const now = fstatSync(file);
      if (!now.isFile() || now.size > MOST_FILE_BYTES) return { state: NOT_KEPT, content: null };
      return this.#asRead((now.mode & 0o100) === 0 ? "100644" : "100755", readFileSync(file));
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      return { state: code === "ENOENT" || code === "ENOTDIR" ? ABSENT : NOT_KEPT, content: null };
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  #asRead(mode: string, content: Uint8Array): ReadFile {
    const object = createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
    return { state: `${mode} ${object}`, content };
  }

  /** Keeps what was read. */
  keep({ state, content }: ReadFile): void {
    const oid = oidOf(state);
    if (oid === null || content === null) return;
    const folder = join(this.git.dir, "objects", oid.slice(0, 2));
    const place = join(folder, oid.slice(2));
    if (existsSync(place)) return;
    mkdirSync(folder, { recursive: true });
    const aside = join(folder, `tmp_${process.pid}_${oid.slice(2, 12)}`);
    writeFileSync(aside, deflateSync(concat([utf8(`blob ${content.length}\0`), content]), { level: 1 }), {
      mode: 0o444,
    });
    renameSync(aside, place);
  }

  /**
   * Looks at all files that are not ignored. One look at a time.
   * @returns what has changed since the look before, each with what it was then and what it is now; of the first nothing
   */
  async look(): Promise<Map<RawPath, { before: FileState; after: FileState }>> {
    const { stdout } = await this.#run(["ls-files", "-m", "-d", "-o", "--exclude-standard", "-z"]);
    const found = [...new Set(toLatin1(stdout).split("\0"))];
    // A repository within the repository ends with a slash: its files are not ours.
    const paths = found.filter((path) => path !== "" && !path.endsWith("/"));
    if (this.#known !== null && paths.length > MOST_FILES)
      throw new ReviewError(
        "internal",
        `${paths.length} files changed at once, of ${MOST_FILES} that are looked at`,
      );
    const changed = new Map<RawPath, { before: FileState; after: FileState }>();
    if (paths.length === 0 && this.#known !== null) return changed;
    const kinds = Map.groupBy(paths, (path) => this.#kindOf(path));
    const left = new Set(kinds.get("left") ?? []);
    const taken = [...(kinds.get("taken") ?? []), ...(kinds.get("folder") ?? [])];
    await this.#index("--force-remove", kinds.get("folder") ?? []);
    await this.#index("--add", kinds.get("taken") ?? []);
    if (this.#known === null) {
      this.#known = await this.#listed([]);
      for (const path of left) this.#known.set(path, NOT_KEPT);
      return changed;
    }
    const now = await this.#listed(taken);
    for (const path of paths) {
      const before = this.#known.get(path) ?? ABSENT;
      const after = left.has(path) ? NOT_KEPT : (now.get(path) ?? ABSENT);
      if (after === ABSENT) this.#known.delete(path);
      else this.#known.set(path, after);
      if (before !== after) changed.set(path, { before, after });
    }
    return changed;
  }

  /** A folder may stand where a file was; what is too large, or neither file nor link, is left. */
  #kindOf(path: RawPath): "taken" | "folder" | "left" {
    try {
      const seen = lstatSync(Buffer.concat([Buffer.from(`${this.worktree}/`), fromLatin1(path)]));
      if (seen.isDirectory()) return "folder";
      return seen.isSymbolicLink() || (seen.isFile() && seen.size <= MOST_FILE_BYTES) ? "taken" : "left";
    } catch {
      return "taken";
    }
  }

  async #index(how: "--add" | "--force-remove", paths: readonly RawPath[]): Promise<void> {
    if (paths.length === 0) return;
    const options = how === "--add" ? ["--add", "--remove", "--replace"] : [how];
    await this.#run(["update-index", ...options, "-z", "--stdin"], {
      input: fromLatin1(paths.map((path) => `${path}\0`).join("")),
    });
  }

  /** What the index says of these, or of all. */
  async #listed(paths: readonly RawPath[]): Promise<Map<RawPath, FileState>> {
    const states = new Map<RawPath, FileState>();
    const take = (output: Uint8Array) => {
      for (const record of toLatin1(output).split("\0")) {
        const match = /^(\d{6}) ([0-9a-f]+) 0\t/.exec(record);
        if (match !== null) states.set(record.slice(match[0].length), `${match[1]} ${match[2]}`);
      }
    };
    const isPlain = paths.every((path) => !/[^\x20-\x7e]/.test(path));
    if (paths.length === 0 || paths.length > PATHS_AT_ONCE || !isPlain)
      take((await this.#run(["ls-files", "--stage", "-z"])).stdout);
    else take((await this.#run(["--literal-pathspecs", "ls-files", "--stage", "-z", "--", ...paths])).stdout);
    return states;
  }

  #run(args: string[], options: { input?: Uint8Array } = {}) {
    return this.git.run(["--work-tree", this.worktree, "-c", "core.bare=false", ...args], {
      cwd: this.worktree,
      timeout: LOOK_MS,
      env: { GIT_INDEX_FILE: join(this.git.dir, "index") },
      ...options,
    });
  }

  /** Contents by object id; what is not kept any more is left out. */
  async contents(oids: readonly string[]): Promise<Map<string, Uint8Array>> {
    const found = await this.git.readObjects([...new Set(oids)]);
    return new Map([...found].map(([oid, { bytes }]) => [oid, bytes]));
  }

  /** Nothing that is kept is needed any more. */
  clear(): void {
    for (const folder of this.#folders()) rmSync(folder, { recursive: true, force: true });
  }

  /** Whether more is kept than should be. */
  isFull(): boolean {
    let bytes = 0;
    for (const folder of this.#folders())
      for (const name of readdirSync(folder))
        bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
    return bytes > MOST_KEPT_BYTES;
  }

  #folders(): string[] {
    const objects = join(this.git.dir, "objects");
    return readdirSync(objects)
      .filter((name) => /^[0-9a-f]{2}$/.test(name))
      .map((name) => join(objects, name));
  }
}
