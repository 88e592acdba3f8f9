/** The place of one scenario: a temporary folder, what must be stopped at its end, and a line for each step. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");

export class Scene {
  readonly dir: string;
  readonly env: Record<string, string>;
  readonly #ends: (() => Promise<unknown> | unknown)[] = [];
  readonly #started = performance.now();

  constructor(readonly name: string) {
    this.dir = realpathSync(mkdtempSync(join(tmpdir(), `e2e-${name}-`)));
    const home = this.folder("home");
    // jj and git see no configuration of the user's.
    this.env = {
      ...(process.env as Record<string, string>),
      HOME: home,
      JJ_CONFIG: this.write(
        "jj.toml",
        '[user]\nname = "Agent"\nemail = "agent@example.org"\n[ui]\npaginate = "never"\ncolor = "never"\n',
      ),
      GIT_CONFIG_GLOBAL: this.write(
        "gitconfig",
        "[user]\n\tname = Dev Eloper\n\temail = dev@example.org\n[init]\n\tdefaultBranch = main\n[safe]\n\tdirectory = *\n",
      ),
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      LC_ALL: "C.UTF-8",
      XDG_CONFIG_HOME: join(home, ".config"),
      XDG_DATA_HOME: join(home, ".local/share"),
      XDG_STATE_HOME: join(home, ".local/state"),
      XDG_CACHE_HOME: join(home, ".cache"),
    };
  }

  say(text: string): void {
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(1).padStart(5);
    process.stderr.write(`  ${this.name} ${seconds} s  ${text}\n`);
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  folder(name: string): string {
    mkdirSync(this.path(name), { recursive: true });
    return this.path(name);
  }

  write(name: string, text: string): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  /** Runs at the end, latest first. */
  atEnd(end: () => Promise<unknown> | unknown): void {
    this.#ends.push(end);
  }

  async close(): Promise<void> {
    for (const end of this.#ends.reverse()) {
      try {
        await end();
      } catch (error) {
        this.say(`while ending: ${error}`);
      }
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Asks again and again until there is an answer that is not null, undefined or false. @throws after the time-out, saying what was waited for */
export async function until<Found>(
  what: string,
  look: () => Found | Promise<Found>,
  timeoutMs = 20_000,
): Promise<Exclude<Found, null | undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  let problem: unknown = null;
  do {
    try {
      const found = await look();
      problem = null;
      if (found !== null && found !== undefined && found !== false)
        return found as Exclude<Found, null | undefined | false>;
    } catch (error) {
      problem = error;
    }
    await Bun.sleep(60);
  } while (performance.now() < deadline);
  throw new Error(`not within ${timeoutMs} ms: ${what}${problem === null ? "" : ` (${problem})`}`);
}
