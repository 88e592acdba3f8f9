/** An agent's jj repository on disk, built step by step: `(await repo()).file("a", "1\n").commit("base")`. */
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { temporaryDirectory } from "./place.ts";

export interface Done {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export class Repo {
  /** The environment of every jj of this test: no configuration of the machine. */
  readonly env: Record<string, string>;

  constructor(
    readonly root: string,
    readonly dir: string,
  ) {
    const config = join(root, "jj.toml");
    writeFileSync(config, '[user]\nname = "Agent"\nemail = "agent@example.org"\n[ui]\npaginate = "never"\n');
    this.env = { ...(process.env as Record<string, string>), JJ_CONFIG: config };
    process.env.JJ_CONFIG = config;
  }

  async try(...args: string[]): Promise<Done> {
    const child = Bun.spawn(["jj", "--no-pager", "--color=never", ...args], {
      cwd: this.dir,
      env: this.env,
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    return { exitCode, stdout, stderr };
  }

  async jj(...args: string[]): Promise<string> {
    const done = await this.try(...args);
    if (done.exitCode !== 0) throw new Error(`jj ${args.join(" ")}: ${done.stderr}`);
    return done.stdout;
  }

  /** `path` is UTF-8 text or raw bytes in a Buffer. */
  at(path: string | Buffer): Buffer {
    return Buffer.concat([Buffer.from(`${this.dir}/`), Buffer.from(path as string)]);
  }

  file(path: string | Buffer, content: string | Uint8Array, mode = 0o644): this {
    const place = this.at(path);
    mkdirSync(place.subarray(0, place.lastIndexOf(47)).toString(), { recursive: true });
    writeFileSync(place, content);
    chmodSync(place, mode);
    return this;
  }

  link(path: string, target: string): this {
    mkdirSync(dirname(join(this.dir, path)), { recursive: true });
    rmSync(join(this.dir, path), { force: true });
    symlinkSync(target, join(this.dir, path));
    return this;
  }

  remove(path: string): this {
    rmSync(join(this.dir, path), { recursive: true });
    return this;
  }

  read(path: string): string {
    return readFileSync(join(this.dir, path), "utf8");
  }

  /** Replaces whole lines of a file. */
  edit(path: string, lines: Record<string, string>): this {
    let text = this.read(path);
    for (const [from, to] of Object.entries(lines))
      text = text.replace(`${from}\n`, to === "" ? "" : `${to}\n`);
    return this.file(path, text);
  }

  async commit(description: string): Promise<this> {
    await this.jj("commit", "-m", description);
    return this;
  }

  async value(revset: string, template: string): Promise<string> {
    return this.jj("log", "--no-graph", "-r", revset, "-T", template);
  }

  changeId(revset = "@"): Promise<string> {
    return this.value(revset, "change_id");
  }

  /** What an agent sees who types nothing but `jj status`: usable, nothing divergent, nothing in conflict. */
  async health(): Promise<{ usable: boolean; divergent: string; conflicted: string }> {
    const status = await this.try("status");
    return {
      usable: status.exitCode === 0,
      divergent: await this.value("divergent()", 'change_id ++ "\\n"'),
      conflicted: await this.value("conflicts()", 'change_id ++ "\\n"'),
    };
  }
}

export const HEALTHY = { usable: true, divergent: "", conflicted: "" };

export const numbered = (count: number): string =>
  Array.from({ length: count }, (_, line) => `line ${line + 1}\n`).join("");

export async function repo(): Promise<Repo> {
  const root = temporaryDirectory("repo");
  const dir = join(root, "agent");
  mkdirSync(dir);
  const made = new Repo(root, dir);
  await made.jj("git", "init", "--colocate", ".");
  return made;
}

/** A repository whose first commit is on `main` and holds these files. */
export async function repoWith(files: Record<string, string>): Promise<Repo> {
  const made = await repo();
  for (const [path, content] of Object.entries(files)) made.file(path, content);
  await made.commit("base");
  await made.jj("bookmark", "create", "main", "-r", "@-");
  return made;
}
