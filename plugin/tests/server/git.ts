/** Real git, as a developer's shell would run it: the token only in the environment. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

export interface GitResult {
  code: number;
  out: string;
  err: string;
}

export class Git {
  readonly #environment: Record<string, string>;

  constructor(home: string, extra: Record<string, string> = {}) {
    this.#environment = {
      PATH: process.env.PATH ?? "",
      HOME: home,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_AUTHOR_NAME: "Dev",
      GIT_AUTHOR_EMAIL: "dev@example.invalid",
      GIT_COMMITTER_NAME: "Dev",
      GIT_COMMITTER_EMAIL: "dev@example.invalid",
      ...extra,
    };
  }

  async try(cwd: string, ...args: string[]): Promise<GitResult> {
    const child = Bun.spawn(["git", ...args], {
      cwd,
      env: this.#environment,
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, out: out.trim(), err };
  }

  async run(cwd: string, ...args: string[]): Promise<string> {
    const { code, out, err } = await this.try(cwd, ...args);
    if (code !== 0) throw new Error(`git ${args.join(" ")}: ${err}`);
    return out;
  }
}

/** The recipe of git-http.ts. */
export function tokenEnvironment(url: string, token: string): Record<string, string> {
  return {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: `http.${url}/.extraHeader`,
    GIT_CONFIG_VALUE_0: `Authorization: Bearer ${token}`,
  };
}

export function write(root: string, files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}
