/**
 * A second way into a jj repository, in which git has refs of its own. jj takes rewritten commits in through refs, and in
 * a colocated repository every other jj command would import those too: a ref that comes and goes there leaves divergent
 * or hidden commits behind. Everything but the refs is the repository's own, by link; nothing here is ever checked out.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Git } from "./git.ts";
import { Jj } from "./jj.ts";
import { textOf } from "./run.ts";

/** jj ties its per-repository configuration to the path it is read from: it is passed by file instead. */
const TIED = /^(store$|config|git_import_export\.lock$)/;

export class Shadow {
  private constructor(
    readonly jj: Jj,
    /** Refs are this one's; objects, and the refs that keep jj's commits, are those of the repository. */
    readonly git: Git,
    private readonly dir: string,
  ) {}

  static async open(jj: Jj): Promise<Shadow> {
    const store = await jj.store();
    const config = textOf(await jj.aside(["config", "path", "--repo"], { expect: [0, 1] }));
    const dir = mkdtempSync(join(tmpdir(), "suggestion-manager-"));
    const repo = join(dir, ".jj", "repo");
    const git = join(dir, "git");
    mkdirSync(join(repo, "store"), { recursive: true });
    symlinkSync(join(jj.dir, ".jj", "working_copy"), join(dir, ".jj", "working_copy"));
    link(jj.repo(), repo, (name) => !TIED.test(name));
    link(join(jj.repo(), "store"), join(repo, "store"), (name) => name !== "git_target" && name !== "git");
    writeFileSync(join(repo, "store", "git_target"), git);
    mkdirSync(join(git, "refs"), { recursive: true });
    for (const name of [
      "HEAD",
      "config",
      "packed-refs",
      "shallow",
      "refs/heads",
      "refs/remotes",
      "refs/tags",
    ]) {
      if (existsSync(join(store.dir, name)))
        cpSync(join(store.dir, name), join(git, name), { recursive: true });
    }
    mkdirSync(join(store.dir, "refs", "jj"), { recursive: true });
    for (const name of ["objects", "refs/jj"]) symlinkSync(join(store.dir, name), join(git, name));
    return new Shadow(new Jj(dir, existsSync(config) ? ["--config-file", config] : []), new Git(git), dir);
  }

  close(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function link(from: string, to: string, wanted: (name: string) => boolean): void {
  for (const name of readdirSync(from)) if (wanted(name)) symlinkSync(join(from, name), join(to, name));
}
