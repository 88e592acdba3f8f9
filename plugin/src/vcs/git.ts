/**
 * git plumbing on one repository. Only plumbing commands and only repositories of this user: the developer's
 * checkout is never touched from here.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { EMPTY, toLatin1 } from "../diff/bytes.ts";
import { ReviewError } from "../protocol/errors.ts";
import { NO_GIT_PROGRAMS } from "./no-programs.ts";
import { type RunOptions, type RunResult, run, runNow, textOf } from "./run.ts";

/** Object id of the tree without files, known to every git (gitformat-pack does not store it). */
export const EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
/** The id jj gives its virtual root commit, and git uses for "no object". */
export const ZERO = "0".repeat(40);

/** No configuration but the repository's own decides what git prints, and no hook or prompt of anyone runs. */
const ENVIRONMENT = {
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_OPTIONAL_LOCKS: "0",
  GIT_ATTR_NOSYSTEM: "1",
  LC_ALL: "C",
};

export class Git {
  constructor(readonly dir: string) {}

  run(args: string[], options: RunOptions = {}): Promise<RunResult> {
    // Among them: the user's own ~/.config/git/attributes do not decide what counts as binary.
    return run("git", ["--git-dir", this.dir, ...NO_GIT_PROGRAMS, ...args], {
      code: "git_error",
      ...options,
      env: { ...ENVIRONMENT, ...options.env },
    });
  }

  async text(args: string[], options: RunOptions = {}): Promise<string> {
    return textOf(await this.run(args, options));
  }

  /** Object id that a revision names, or null. */
  async resolve(revision: string): Promise<string | null> {
    const result = await this.run(["rev-parse", "--verify", "--quiet", "--end-of-options", revision], {
      expect: [0, 1, 128],
    });
    return result.exitCode === 0 ? textOf(result) : null;
  }

  /** Tree of a commit; the root commit of jj has the empty tree. */
  async treeOf(commit: string): Promise<string> {
    if (commit === ZERO) return EMPTY_TREE;
    const tree = await this.resolve(`${commit}^{tree}`);
    if (tree === null) throw new ReviewError("git_error", `Commit ${commit} is not in ${this.dir}`);
    return tree;
  }

  async isAncestor(ancestor: string, descendant: string): Promise<boolean> {
    if (ancestor === ZERO || ancestor === descendant) return true;
    const result = await this.run(["merge-base", "--is-ancestor", ancestor, descendant], { expect: [0, 1] });
    return result.exitCode === 0;
  }

  /**
   * Moves a ref only if it is where it is thought to be.
   * @param expected the old id, {@link ZERO} for "must not exist"
   */
  async updateRef(ref: string, to: string, expected: string): Promise<void> {
    await this.run(["update-ref", "--no-deref", "-m", "suggestion-manager", ref, to, expected]);
  }

  async setRef(ref: string, to: string): Promise<void> {
    await this.run(["update-ref", "--no-deref", ref, to]);
  }

  async deleteRef(ref: string): Promise<void> {
    await this.run(["update-ref", "--no-deref", "-d", ref]);
  }

  /** Bytes of each of many objects, asked with one process; ids that are not there are left out. */
  async sizesOf(ids: string[]): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    if (ids.length === 0) return found;
    const { stdout } = await this.run(["cat-file", "--batch-check", "--buffer"], {
      input: `${ids.join("\n")}\n`,
    });
    for (const line of toLatin1(stdout).split("\n")) {
      const [id, , size] = line.split(" ");
      if (id !== undefined && size !== undefined && /^\d+$/.test(size)) found.set(id, Number(size));
    }
    return found;
  }

  /** Contents of many objects in one process; ids that are not there are left out. */
  async readObjects(ids: string[]): Promise<Map<string, { type: string; bytes: Uint8Array }>> {
    const found = new Map<string, { type: string; bytes: Uint8Array }>();
    if (ids.length === 0) return found;
    const { stdout } = await this.run(["cat-file", "--batch", "--buffer"], { input: `${ids.join("\n")}\n` });
    let at = 0;
    for (const id of ids) {
      const end = stdout.indexOf(10, at);
      const [, type, size] = toLatin1(stdout.subarray(at, end)).split(" ");
      at = end + 1;
      if (type === undefined || type === "missing" || size === undefined) continue;
      found.set(id, { type, bytes: stdout.subarray(at, at + Number(size)) });
      at += Number(size) + 1;
    }
    return found;
  }

  /** Content of a blob before anything else happens; a few milliseconds. */
  readBlobNow(id: string): Uint8Array {
    return runNow("git", ["--git-dir", this.dir, "cat-file", "blob", id], {
      code: "git_error",
      env: ENVIRONMENT,
    });
  }

  async readBlob(id: string): Promise<Uint8Array> {
    const blob = (await this.readObjects([id])).get(id);
    if (blob === undefined) throw new ReviewError("git_error", `Object ${id} is not in ${this.dir}`);
    return blob.bytes;
  }

  /** Content of a path in a tree, or null. `path` is a raw path. */
  async readPath(
    tree: string,
    path: string,
  ): Promise<{ mode: string; oid: string; bytes: Uint8Array } | null> {
    const { stdout } = await this.run(
      ["ls-tree", "-z", "--full-tree", tree, "--", `:(literal)${Buffer.from(path, "latin1")}`],
      {
        env: { GIT_LITERAL_PATHSPECS: "0" },
      },
    );
    const match = /^(\d{6}) (\w+) ([0-9a-f]+)\t/.exec(toLatin1(stdout));
    if (match === null) return null;
    const [, mode, type, oid] = match as unknown as string[];
    if (mode === undefined || oid === undefined) return null;
    return { mode, oid, bytes: type === "blob" ? await this.readBlob(oid) : EMPTY };
  }

  /** Copies a commit and all it needs from another repository on this disk, under a ref that keeps it alive. */
  async take(from: string, commit: string, ref: string): Promise<void> {
    await this.run([
      "-c",
      "protocol.file.allow=always",
      "fetch",
      "--quiet",
      "--no-tags",
      "--no-write-fetch-head",
      "--no-auto-gc",
      "--no-auto-maintenance",
      "--no-recurse-submodules",
      // It stays on this disk: looking for deltas would cost more than copying does.
      "--upload-pack=git -c pack.window=0 -c pack.compression=1 upload-pack",
      "--force",
      from,
      `${commit}:${ref}`,
    ]);
  }

  /** The branch HEAD names, as a full ref, whether or not it exists yet. */
  async headRef(): Promise<string | null> {
    // What gitrepository-layout(5) says of HEAD; git itself is asked where it says something else.
    const plain = /^ref: (refs\/heads\/(?!\.invalid)\S+)\n$/.exec(
      await readFile(`${this.dir}/HEAD`, "utf8"),
    )?.[1];
    if (plain !== undefined) return plain;
    const result = await this.run(["symbolic-ref", "--quiet", "HEAD"], { expect: [0, 1] });
    return result.exitCode === 0 ? textOf(result) : null;
  }
}

/** What a hub is set to: pinned revisions can be fetched by id, private refs are nobody else's business. */
const HUB_SETTINGS: [string, string][] = [
  ["uploadpack.allowAnySHA1InWant", "true"],
  ["transfer.hideRefs", "refs/review"],
  ["core.logAllRefUpdates", "true"],
  ["gc.auto", "0"],
];

/** Opens the bare repository at `dir`, making it first if it is not there. */
export async function openBare(dir: string, branch = "main"): Promise<Git> {
  const git = new Git(dir);
  if (!existsSync(`${dir}/HEAD`)) {
    await mkdir(dir, { recursive: true });
    await run("git", ["init", "--quiet", "--bare", "--template=", `--initial-branch=${branch}`, dir], {
      code: "git_error",
      env: ENVIRONMENT,
    });
  }
  // Set-ups make hubs of their own: what must hold is seen to at every start.
  const known = toLatin1((await git.run(["config", "--local", "--list"])).stdout)
    .toLowerCase()
    .split("\n");
  for (const [name, value] of HUB_SETTINGS) {
    if (!known.includes(`${name}=${value}`.toLowerCase())) await git.run(["config", "--local", name, value]);
  }
  return git;
}
