/** `npm start` on a repository of the developer's, with folders and an agent's user of this scene alone. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Curl } from "./curl.ts";
import { type Done, must, Running, run } from "./processes.ts";
import { ROOT, Scene, until } from "./scene.ts";
import type { ReadyLine } from "./server.ts";

export const isRoot = process.getuid?.() === 0;

export interface Started {
  running: Running;
  ready: ReadyLine & { checkout: string };
  curl: Curl;
}

export class Launcher {
  readonly scene: Scene;
  readonly local: string;
  /** The agent's user, once something was started; before, what the users of this scene are named after. */
  user: string;
  readonly base: string;
  readonly env: Record<string, string>;
  #runs = 0;

  /** @param uid run it as this user, who is neither root nor anybody the machine knows (needs root, and a plugin that is built) */
  constructor(
    name: string,
    private readonly uid: number | null = null,
  ) {
    this.scene = new Scene(name);
    this.local = this.scene.folder("local");
    this.user = `ai-t${process.pid}-${name}`.slice(0, 22);
    this.base = `/var/lib/isolated-ai-coder.${this.user}`;
    must(["chmod", "755", this.scene.dir, this.local]);
    this.env = {
      ...(process.env as Record<string, string>),
      ISOLATED_AI_CODER_LOCAL: this.local,
      ISOLATED_AI_CODER_USER: this.user,
      // The tools are found by the user's own HOME, the settings are this scene's.
      XDG_CONFIG_HOME: this.scene.folder("config"),
      XDG_DATA_HOME: this.scene.folder("data"),
      GIT_CONFIG_GLOBAL: this.scene.env.GIT_CONFIG_GLOBAL ?? "",
      JJ_CONFIG: this.scene.env.JJ_CONFIG ?? "",
      npm_config_offline: "true",
      OPENCODE_DISABLE_MODELS_FETCH: "1",
    };
    this.configure({});
    this.scene.atEnd(() => {
      run(["npm", "--silent", "run", "teardown", "--", "--yes", "--delete-unpublished"], {
        cwd: ROOT,
        env: this.env,
      });
    });
  }

  /** Writes the developer's settings of opencode, beside a provider that nobody asks. */
  configure(settings: Record<string, unknown>): void {
    const provider = { options: { baseURL: "http://127.0.0.1:9/v1", apiKey: "none" }, models: { "m-1": {} } };
    const own = { npm: "@ai-sdk/openai-compatible", ...provider };
    this.scene.write(
      "config/opencode/opencode.json",
      JSON.stringify({ model: "own/m-1", provider: { own }, ...settings }),
    );
  }

  /** A git repository of the developer's with one commit. */
  repository(name = "project", files: Record<string, string> = { "a.txt": "one\n" }): string {
    const dir = this.scene.folder(name);
    for (const [path, text] of Object.entries(files)) this.scene.write(join(name, path), text);
    this.git(dir, "init", "--quiet", "--initial-branch=main");
    this.commit(dir, "base");
    return dir;
  }

  git(dir: string, ...args: string[]): string {
    return must(["git", "-C", dir, ...args], { env: this.scene.env });
  }

  commit(dir: string, message: string): void {
    this.git(dir, "add", "--all");
    this.git(dir, "commit", "--quiet", "--message", message);
  }

  #argv(args: string[]): string[] {
    const options = ["--headless", "--json", "--port", "0", ...args];
    if (this.uid === null) return ["npm", "--silent", "start", "--", ...options];
    return [...this.#switched(), "bun", "--no-env-file", join(ROOT, "scripts/start/main.ts"), ...options];
  }

  /** `npm run sandbox -- allow|deny|list`, by whom this is started. */
  network(...args: string[]): string {
    const argv =
      this.uid === null
        ? ["npm", "--silent", "run", "sandbox", "--", ...args]
        : [...this.#switched(), "bun", "--no-env-file", join(ROOT, "scripts/start/allow.ts"), ...args];
    return must(argv, { cwd: ROOT, env: this.env });
  }

  async start(args: string[], env: Record<string, string> = {}): Promise<Started> {
    const running = Running.start(this.scene, `start-${++this.#runs}`, this.#argv(args), {
      cwd: ROOT,
      env: { ...this.env, ...env },
    });
    const ready = await running.readyLine<Started["ready"]>(150_000);
    if (isRoot && this.uid === null) this.user = must(["stat", "-c", "%U", ready.agent_repo]).trim();
    return { running, ready, curl: new Curl(this.scene, ready.url, ready.token_file) };
  }

  /** `npm run sandbox -- …`, run to its end. */
  sandbox(args: string[]): Done {
    const program = ["bun", "--no-env-file", join(ROOT, "scripts/start/sandbox.ts"), ...args];
    const argv = this.uid === null ? program : [...this.#switched(), ...program];
    return run(argv, { cwd: ROOT, env: this.env, timeoutMs: 75_000 });
  }

  #switched(): string[] {
    must(["chown", "-R", String(this.uid), this.scene.dir]);
    return ["setpriv", `--reuid=${this.uid}`, `--regid=${this.uid}`, "--clear-groups"];
  }

  /** A start that is to end by itself. */
  refused(args: string[], env: Record<string, string> = {}): Done {
    return run(this.#argv(args), { cwd: ROOT, env: { ...this.env, ...env }, timeoutMs: 75_000 });
  }

  /** Runs a command on a terminal of its own until `isDone`, then ends it; returns what came on that terminal. */
  async onTerminal(
    command: string,
    env: Record<string, string>,
    isDone?: (screen: string) => boolean,
  ): Promise<string> {
    const typescript = this.scene.path(`terminal-${++this.#runs}`);
    const running = Running.start(
      this.scene,
      `terminal-${this.#runs}`,
      ["script", "--quiet", "--flush", "--return", "--command", command, typescript],
      { cwd: ROOT, env: { ...this.env, ...env } },
    );
    const screen = () => (existsSync(typescript) ? readFileSync(typescript, "utf8") : "");
    await until(`"${command}" to be done`, () => !running.alive || isDone?.(screen()) === true, 75_000);
    await running.stop();
    return screen();
  }

  async stop({ running }: Started): Promise<void> {
    running.signal("SIGINT");
    await Promise.race([running.ended, Bun.sleep(20_000)]);
    await running.stop();
  }

  asAgent(words: string[], options: { cwd?: string; env?: Record<string, string> } = {}): string {
    const switched = ["setpriv", "--reuid", this.user, "--regid", this.user, "--init-groups"];
    return must([...switched, ...words], options);
  }

  /** The agent's environment, for what a test does in its name. */
  agentEnv({ agent_repo: repo }: { agent_repo: string }): Record<string, string> {
    const dir = dirname(repo);
    return {
      PATH: `${process.env.PATH}`,
      HOME: join(dir, "home"),
      XDG_CONFIG_HOME: join(dir, "config"),
      LANG: "C.UTF-8",
    };
  }
}
