/**
 * jj, through its command line: the agent's repository is read when something is published and written when it is
 * settled. Parsing is of templates with JSON, never of output made for people.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { toLatin1 } from "../diff/bytes.ts";
import { ReviewError } from "../protocol/errors.ts";
import { Git } from "./git.ts";
import { freeIndex, isIndexLocked } from "./index-lock.ts";
import { NO_JJ_PROGRAMS } from "./no-programs.ts";
import { type RunOptions, type RunResult, run, textOf } from "./run.ts";

export interface Change {
  changeId: string;
  commit: string;
  parents: string[];
  /** Change ids of the parents. */
  parentChanges: string[];
  description: string;
  conflict: boolean;
  divergent: boolean;
  immutable: boolean;
  empty: boolean;
  /** Raw identity line as git stores it. */
  author: string;
}

/** Largest new file that is taken where no other limit is set; jj's own is 1 MiB. */
const MAX_NEW_FILE = "64MiB";
const CONFIG_KEPT_MS = 30_000;

const FLAGS = ["conflict", "divergent", "immutable", "empty"] as const;
const TEMPLATE = `json(self) ++ "\\t" ++ ${FLAGS.map((flag) => `if(${flag}, "1", "0")`).join(" ++ ")} ++ parents.map(|parent| parent.change_id()).join(" ") ++ "\\n"`;

interface JsonCommit {
  commit_id: string;
  change_id: string;
  parents: string[];
  description: string;
  author: { name: string; email: string; timestamp: string };
}

/** git's raw identity line: seconds since 1970 and the offset as written in the ISO time. */
function identity(person: JsonCommit["author"]): string {
  const seconds = Math.floor(Date.parse(person.timestamp) / 1000);
  const zone = /([+-]\d\d):?(\d\d)$/.exec(person.timestamp);
  const clean = (text: string) => text.replace(/[<>\n\0]/g, "");
  return `${clean(person.name)} <${clean(person.email)}> ${seconds} ${zone === null ? "+0000" : `${zone[1]}${zone[2]}`}`;
}

/** How often a command is tried again because git's index was locked. */
const INDEX_TRIES = 8;

export class Jj {
  #store: Git | undefined;
  /** Whether somebody set a limit for new files, as it was looked up last. */
  #sizeLimit: { isSet: boolean; until: number } | undefined;
  /** @param global options that every command is given */
  constructor(
    readonly dir: string,
    private readonly global: string[] = [],
  ) {}

  /**
   * Runs a command, once more where git's index was locked. Not for commands that move on from `@`: see
   * {@link newChild}.
   */
  async run(args: string[], options: RunOptions = {}): Promise<RunResult> {
    for (let tries = 0; ; tries++) {
      let said: string;
      try {
        const result = await this.#once(args, options);
        if (result.exitCode === 0 || !isIndexLocked(result.stderr) || tries === INDEX_TRIES) return result;
        said = result.stderr;
      } catch (thrown) {
        said = (thrown as Error).message;
        if (!isIndexLocked(said) || tries === INDEX_TRIES) throw thrown;
      }
      await this.freeIndex();
    }
  }

  #once(args: string[], options: RunOptions): Promise<RunResult> {
    const global = [
      "--no-pager",
      "--color=never",
      "--repository",
      this.dir,
      ...this.global,
      ...NO_JJ_PROGRAMS,
    ];
    return run("jj", [...global, ...args], {
      cwd: this.dir,
      code: "jj_error",
      ...options,
      env: { GIT_TERMINAL_PROMPT: "0", JJ_EDITOR: "false", LC_ALL: "C.UTF-8", ...options.env },
    });
  }

  /**
   * Waits until git's index is not locked.
   * @throws ReviewError that names the lock
   */
  async freeIndex(): Promise<void> {
    if (!existsSync(join(this.dir, ".git"))) return;
    await freeIndex((await this.store()).dir, this.dir);
  }

  /**
   * Moves the working copy from `commit` to a new empty child of it, if it is there. When git's index is locked jj moves
   * git's HEAD and no more, and its next command makes a child of that by itself: so it is looked at anew before a
   * second try.
   */
  async newChild(commit: string): Promise<void> {
    for (let tries = 0; ; tries++) {
      await this.freeIndex();
      const [working] = await this.changes("@");
      if (working?.commit !== commit) return;
      try {
        await this.#once(["new", "--quiet", commit], {});
        return;
      } catch (thrown) {
        if (!isIndexLocked((thrown as Error).message) || tries === INDEX_TRIES) throw thrown;
        await this.freeIndex();
        await this.snapshot();
      }
    }
  }

  /** Commands that neither snapshot nor touch the working copy; at one operation if given. */
  aside(args: string[], options: RunOptions & { at?: string } = {}): Promise<RunResult> {
    const at = options.at === undefined ? [] : ["--at-operation", options.at];
    return this.run(["--ignore-working-copy", ...at, ...args], options);
  }

  /** The git repository behind this one, colocated or not. */
  async store(): Promise<Git> {
    if (this.#store === undefined) {
      const root = textOf(await this.aside(["git", "root"]));
      this.#store = new Git(realpathSync(root));
    }
    return this.#store;
  }

  /** Id of the operation that is current now; operations made at the same moment are merged first. */
  async operation(): Promise<string> {
    const heads = this.#operationHeads();
    if (heads?.length === 1) return heads[0] as string;
    return textOf(await this.aside(["op", "log", "--no-graph", "--limit", "1", "-T", "id"]));
  }

  /** Whether `operation`, and no other, is current. Starts no process, so that little can happen between look and act. */
  async isCurrent(operation: string): Promise<boolean> {
    const heads = this.#operationHeads();
    if (heads === null) return (await this.operation()).startsWith(operation);
    return heads.length === 1 && (heads[0] as string).startsWith(operation);
  }

  /** jj's default store keeps one file for each head of the operation log; null when this is another store. */
  #operationHeads(): string[] | null {
    try {
      return readdirSync(join(this.repo(), "op_heads", "heads")).filter((name) =>
        /^[0-9a-f]{64,}$/.test(name),
      );
    } catch {
      return null;
    }
  }

  /** `.jj/repo`, which in a further workspace is a file that names the first one's. */
  repo(): string {
    const path = join(this.dir, ".jj", "repo");
    return statSync(path).isDirectory()
      ? path
      : resolve(join(this.dir, ".jj"), readFileSync(path, "utf8").trim());
  }

  /** Other workspaces of the same repository that are still where jj remembers them. */
  async otherWorkspaces(): Promise<Jj[]> {
    const listed = await this.aside(["workspace", "list", "-T", 'root ++ "\\0"'], { expect: [0, 1] });
    if (listed.exitCode !== 0) return [];
    const found: Jj[] = [];
    for (const root of new TextDecoder().decode(listed.stdout).split("\0")) {
      if (!root.startsWith("/")) continue;
      try {
        const real = realpathSync(root);
        if (real !== this.dir && statSync(join(real, ".jj")).isDirectory()) found.push(new Jj(real));
      } catch {
        // Deleted without "jj workspace forget".
      }
    }
    return found;
  }

  /** Runs a command that makes an operation aside from the log, on top of `at`. Returns its id, or `at` if it made none. */
  async operationAside(at: string, args: string[]): Promise<string> {
    const { stderr } = await this.aside([...args, "--no-integrate-operation"], { at });
    return /--no-integrate-operation was requested: ([0-9a-f]+)/.exec(stderr)?.[1] ?? at;
  }

  /**
   * Takes the working copy into the repository, repairing a stale one first (jj leaves it stale when killed).
   * @returns remarks of jj, such as files it refused to take
   */
  async snapshot(): Promise<string[]> {
    const snapshot = [...(await this.#sizeOption()), "util", "snapshot"];
    const first = await this.run(snapshot, { expect: [0, 1, 2, 255] });
    if (first.exitCode === 0) return warnings(first.stderr);
    if (!/stale/.test(first.stderr)) {
      throw new ReviewError("jj_error", `jj could not snapshot ${this.dir}: ${first.stderr.trim()}`);
    }
    await this.run(["workspace", "update-stale"]);
    return warnings((await this.run(snapshot)).stderr);
  }

  /** Lets jj take larger new files than it does by itself, where nobody has set a limit. */
  async #sizeOption(): Promise<string[]> {
    const now = Date.now();
    if (this.#sizeLimit === undefined || this.#sizeLimit.until < now) {
      const set = await this.aside(["config", "list", "snapshot.max-new-file-size"], { expect: [0, 1, 2] });
      this.#sizeLimit = { isSet: textOf(set) !== "", until: now + CONFIG_KEPT_MS };
    }
    return this.#sizeLimit.isSet ? [] : [`--config=snapshot.max-new-file-size="${MAX_NEW_FILE}"`];
  }

  /** Changes of a revset, without looking at the working copy; [] when nothing matches or a name is unknown. */
  async changes(revset: string, at?: string): Promise<Change[]> {
    const result = await this.aside(["log", "--no-graph", "-r", revset, "-T", TEMPLATE], {
      expect: [0, 1],
      ...(at === undefined ? {} : { at }),
    });
    if (result.exitCode !== 0) {
      if (/doesn't exist|isn't a known|No such|hidden|is ambiguous|No visible|divergent/.test(result.stderr))
        return [];
      throw new ReviewError("jj_error", `jj log -r ${revset}: ${result.stderr.trim()}`);
    }
    return new TextDecoder()
      .decode(result.stdout)
      .split("\n")
      .filter((line) => line !== "")
      .map(parseChange);
  }

  /** All visible commits of a change id; more than one when it is divergent. */
  commitsOf(changeId: string): Promise<Change[]> {
    return this.changes(`change_id(${changeId})`);
  }

  /** Earlier commits of the same change, the latest first; [] when jj does not know. */
  async predecessors(commit: string): Promise<string[]> {
    const result = await this.aside(
      ["evolog", "--no-graph", "-r", commit, "-T", 'commit.commit_id() ++ "\\n"'],
      { expect: [0, 1] },
    );
    if (result.exitCode !== 0) return [];
    return textOf(result)
      .split("\n")
      .filter((id) => id !== "" && id !== commit);
  }

  /** Brings the files on disk to the current working-copy commit, if another process moved it. */
  async updateStale(): Promise<void> {
    await this.run(["workspace", "update-stale"]);
  }

  /** Whether jj refuses to work on the files on disk because another process moved the working-copy commit. */
  async isStale(): Promise<boolean> {
    const result = await this.run([...(await this.#sizeOption()), "util", "snapshot"], {
      expect: [0, 1, 2, 255],
    });
    return result.exitCode !== 0 && /stale/.test(result.stderr);
  }

  /** Names of git remotes whose URL is `url`. */
  async remotesOf(url: string): Promise<string[]> {
    const store = await this.store();
    const listed = await store.run(["config", "--get-regexp", "^remote\\..*\\.url$"], { expect: [0, 1] });
    return toLatin1(listed.stdout)
      .split("\n")
      .flatMap((line) => {
        const match = /^remote\.(.*)\.url (.*)$/.exec(line);
        return match?.[1] !== undefined && match[2] === url ? [match[1]] : [];
      });
  }
}

function parseChange(line: string): Change {
  const tab = line.lastIndexOf("\t");
  const commit = JSON.parse(line.slice(0, tab)) as JsonCommit;
  const flag = (name: (typeof FLAGS)[number]) => line[tab + 1 + FLAGS.indexOf(name)] === "1";
  return {
    changeId: commit.change_id,
    commit: commit.commit_id,
    parents: commit.parents,
    parentChanges: line.slice(tab + 1 + FLAGS.length).split(" "),
    description: commit.description,
    conflict: flag("conflict"),
    divergent: flag("divergent"),
    immutable: flag("immutable"),
    empty: flag("empty"),
    author: identity(commit.author),
  };
}

/** jj's warnings with the lines that belong to them, hints left out; one string each. */
function warnings(stderr: string): string[] {
  const found: string[] = [];
  let open = false;
  for (const line of stderr.split("\n")) {
    if (line.startsWith("Warning: ")) {
      open = !/Name and email not configured/.test(line);
      if (open) found.push(line.slice("Warning: ".length));
    } else if (open && line.startsWith("  ") && found.length > 0) {
      found[found.length - 1] += `\n${line.trim()}`;
    } else {
      open = false;
    }
  }
  return found;
}

/** Opens a jj repository, or says why the directory is not one. */
export async function openJj(dir: string): Promise<Jj> {
  let real: string;
  try {
    real = realpathSync(dir);
  } catch (cause) {
    throw new ReviewError("invalid_request", `project: ${dir} does not exist or cannot be read`, { cause });
  }
  const probe = new Jj(real);
  const result = await run("jj", ["--no-pager", "--color=never", "--ignore-working-copy", "root"], {
    cwd: real,
    code: "jj_error",
    expect: [0, 1],
  });
  if (result.exitCode !== 0) {
    throw new ReviewError(
      "invalid_request",
      `project: ${real} is not a jj repository; run "jj git init --colocate" there, or name one`,
    );
  }
  const root = realpathSync(textOf(result));
  return root === real ? probe : new Jj(root);
}
