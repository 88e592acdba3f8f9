/**
 * One project: the agent's jj repository and the hub that is shared with the developer. Owns their places and the
 * lock that keeps two uses of the agent's repository apart; knows nothing of decisions.
 */
import { createHash } from "node:crypto";
import { rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { standsOn } from "./follow.ts";
import { type Git, openBare, ZERO } from "./git.ts";
import { type Jj, openJj } from "./jj.ts";
import { clearRefLocks } from "./leftover-locks.ts";
import { importLeftovers } from "./trees.ts";

/** A file of git's that was not written to for this long, in milliseconds, belongs to nobody any more. */
const LEFT_OVER_MS = 10 * 60 * 1000;

/** A moment at which nothing of the agent's writes to its repository. */
export interface QuietGate {
  /** Waits for the moment, keeps it while `work` runs. */
  run<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Stops what the agent's commands have left running, as far as it is known; what it returns lets it go on. */
  hold?(): () => void;
  /** What that is, as people know it. */
  stillRunning?(): string[];
}

/** What the agent's calls changed, as whoever watches them remembers it. */
export interface CallMemory {
  /**
   * Resolves when all that has been seen is in the ledger.
   * @returns the word under which changes are remembered now; null while a call that may change files has not ended
   */
  settled(): Promise<string | null>;
  /** What files held, by object id; what is not kept any more is left out. */
  contents(oids: readonly string[]): Promise<Map<string, Uint8Array>>;
  /** Drops what nobody can ask for any more. */
  tidy(): void;
  failed(error: unknown): void;
}

export interface ProjectOptions {
  /** Directory of all hubs. */
  hubRoot: string;
  /** Name of the hub without `.git`; made from the directory if left out. */
  hubName?: string | undefined;
  /** Short name of the shared branch; the hub's HEAD if left out. */
  branch: string | null;
  gate: QuietGate;
}

/** Stable and readable: the directory's name and a hash of its whole path. */
export function defaultHubName(dir: string): string {
  const name =
    basename(dir)
      .replace(/[^A-Za-z0-9._-]/g, "-")
      .replace(/^[.-]+/, "")
      .replace(/\.(git|lock)$/, "") || "project";
  return `${name}-${createHash("sha256").update(dir).digest("hex").slice(0, 8)}`;
}

export class Project {
  #tail: Promise<unknown> = Promise.resolve();
  /** Null where nobody watches the agent's calls. */
  memory: CallMemory | null = null;
  /** The hub moved: the agent's repository is to see it at the next quiet moment. */
  followHub = false;
  /** The agent's working copy may not stand on the shared branch yet. */
  behind = false;
  /** What was last told about following: the tip and what came of it. */
  toldOfTip: string | null = null;
  /** The operation at which the agent's changes were last compared with what was decided. */
  lookedAt = "";

  private constructor(
    readonly dir: string,
    readonly jj: Jj,
    readonly hub: Git,
    readonly hubName: string,
    readonly gate: QuietGate,
    private readonly branch: string | null,
  ) {}

  static async open(dir: string, options: ProjectOptions): Promise<Project> {
    const jj = await openJj(dir);
    const hubName = options.hubName ?? defaultHubName(jj.dir);
    const hub = await openBare(join(options.hubRoot, `${hubName}.git`));
    const project = new Project(jj.dir, jj, hub, hubName, options.gate, options.branch);
    await project.#seedHub();
    return project;
  }

  /** Uses of the agent's repository by this process, one after another. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const next = this.#tail.then(work, work);
    this.#tail = next.catch(() => undefined);
    return next;
  }

  /** Full ref of the shared branch. */
  async sharedRef(): Promise<string> {
    return this.branch === null
      ? ((await this.hub.headRef()) ?? "refs/heads/main")
      : `refs/heads/${this.branch}`;
  }

  async sharedTip(): Promise<{ ref: string; commit: string } | null> {
    const ref = await this.sharedRef();
    const commit = await this.hub.resolve(ref);
    return commit === null ? null : { ref, commit };
  }

  /** Whether the shared branch is where the agent's working copy stands; jj is asked and nothing changed. */
  async isBehind(): Promise<boolean> {
    const tip = await this.sharedTip();
    return tip !== null && !(await standsOn(this.jj, tip.commit));
  }

  /** Brings the hub's branches into the agent's repository, as those of the remote that the hub is to it. */
  async fetchHub(): Promise<void> {
    const [remote = "hub"] = await this.jj.remotesOf(this.hub.dir);
    const store = await this.jj.store();
    await store.run([
      "fetch",
      "--quiet",
      "--no-tags",
      "--no-write-fetch-head",
      "--no-auto-maintenance",
      this.hub.dir,
      `+refs/heads/*:refs/remotes/${remote}/*`,
    ]);
    // Not aside: where the shared branch was rewritten, jj moves the working copy, and edits that it has not seen yet
    // would be overwritten.
    await this.jj.snapshot();
    await this.jj.run(["git", "import", "--quiet"]);
    await this.jj.updateStale();
  }

  /** What a crash left in the hub and in the agent's repository. Returns what was done, one sentence each. */
  async clearLeftovers(): Promise<string[]> {
    const store = await this.jj.store();
    const locks = await Promise.all([this.hub.dir, store.dir].map(clearRefLocks));
    const removed = locks.flat();
    await this.#clearImports();
    const settled = await this.#clearSettle(store);
    return removed.length === 0
      ? settled
      : [`removed what a killed git had left locked: ${removed.join(", ")}`, ...settled];
  }

  /** What a killed fast-import left in the hub; another process of ours may have one at work just now. */
  async #clearImports(): Promise<void> {
    for (const path of await importLeftovers(this.hub.dir)) {
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
      if (Date.now() - mtimeMs > LEFT_OVER_MS) await rm(path, { force: true });
    }
  }

  /** Private refs that a crash in the middle of a settle left in the agent's repository. */
  async #clearSettle(store: Git): Promise<string[]> {
    const left = await store.text([
      "for-each-ref",
      "--format=%(refname) %(objectname)",
      "refs/heads/suggestion-manager",
      "refs/suggestion-manager",
    ]);
    if (left === "") {
      // Killed between a rewrite and the checkout of its result: nothing is left over, but every jj command fails.
      const stale = await this.jj.isStale();
      if (stale) await this.jj.updateStale();
      return stale ? ["brought the agent's working copy up to date after an interrupted rewrite"] : [];
    }
    const refs = left.split("\n").map((line) => line.split(" ") as [string, string]);
    for (const [ref] of refs) await store.deleteRef(ref);
    // Nothing becomes hidden by their going, but a rewrite that jj took in without its operation is one too many.
    await this.jj.aside(["git", "import", "--quiet", "--config", "git.abandon-unreachable-commits=false"]);
    for (const [ref, commit] of refs) {
      const commits = await this.jj.commitsOf(basename(ref));
      if (commits.length > 1 && commits.some((change) => change.commit === commit))
        await this.jj.aside(["abandon", "--quiet", commit]);
    }
    await this.jj.updateStale();
    return ["cleared what an interrupted settle had left in the agent's repository"];
  }

  /** A hub that was lost and made anew gets the branches back that the agent's repository last saw in it. */
  async #takeBranchesBack(store: Git): Promise<void> {
    const [remote] = await this.jj.remotesOf(this.hub.dir);
    if (remote === undefined) return;
    const seen = await store.text([
      "for-each-ref",
      "--format=%(objectname) %(refname:lstrip=3)",
      `refs/remotes/${remote}`,
    ]);
    for (const line of seen.split("\n")) {
      const [commit, name] = line.split(" ");
      if (commit && name && name !== "HEAD") await this.hub.take(store.dir, commit, `refs/heads/${name}`);
    }
  }

  /** A hub that was just made gets the branch that the agent's repository calls its trunk, so that it has a base. */
  async #seedHub(): Promise<void> {
    const branches = await this.hub.text(["for-each-ref", "--format=%(refname)", "refs/heads"]);
    if (branches !== "") return;
    const store = await this.jj.store();
    await this.#takeBranchesBack(store);
    for (const name of this.branch === null ? ["main", "master", "trunk"] : [this.branch]) {
      const ref = `refs/heads/${name}`;
      const remote = await store.resolve(`refs/remotes/origin/${name}`);
      // A bookmark of a repository that is not colocated need not be a ref of git's.
      const commit =
        remote ??
        (await store.resolve(ref)) ??
        (await this.jj.changes(`bookmarks(exact:"${name}")`))[0]?.commit;
      if (commit === undefined || commit === ZERO) continue;
      if ((await this.hub.resolve(ref)) === null) await this.hub.take(store.dir, commit, ref);
      await this.hub.run(["symbolic-ref", "HEAD", ref]);
      return;
    }
  }
}
