/** A server over the real desk to measure: its own state directory, ledger, tokens and port. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../../src/config.ts";
import type { ReviewEvent } from "../../../src/protocol/events.ts";
import { Desk } from "../../../src/review/desk.ts";
import type { Limits } from "../../../src/server/limits.ts";
import { createLog, type RunningServer, startServer } from "../../../src/server/server.ts";
import { ensureTokens, openTokens } from "../../../src/server/tokens/tokens.ts";

export interface PlaceOptions {
  limits?: Partial<Limits>;
  /** Called with the desk before the server is started. */
  prepare?: (desk: Desk) => void;
}

export class Place {
  readonly developer: string;

  private constructor(
    readonly dir: string,
    readonly desk: Desk,
    private readonly server: RunningServer,
  ) {
    this.developer = readFileSync(join(dir, "token"), "utf8").trim();
  }

  static async open({ limits = {}, prepare }: PlaceOptions = {}): Promise<Place> {
    const dir = mkdtempSync(join(tmpdir(), "sm-bench-server-"));
    const options = { port: 0, state_dir: dir, feedback_log: join(dir, "feedback.jsonl") };
    const config = loadConfig(options, { HOME: dir });
    const log = createLog("error");
    const desk = new Desk(config);
    // What is measured here is not the disk.
    desk.ledger.db.run("PRAGMA synchronous = OFF");
    prepare?.(desk);
    ensureTokens(dir);
    const server = await startServer({
      config,
      desk,
      tokens: openTokens(dir),
      log,
      version: "bench",
      limits,
    });
    return new Place(dir, desk, server);
  }

  get port(): number {
    return this.server.port;
  }

  /** Writes an event into the real journal, as the desk does for what happens outside a use case. */
  emit(message: string): ReviewEvent {
    return this.desk.ledger.emit("/project", { type: "suggestion.status", status: "working", message });
  }

  /** Texts of the journal, read from the ledger itself. */
  journal(since = 0): string[] {
    return this.desk.ledger.eventTexts(since, 1_000_000).map(({ json }) => json);
  }

  /** A jj repository of the agent's, taken in by the desk. @returns its directory */
  async addRepository(): Promise<string> {
    const jjConfig = join(this.dir, "jj.toml");
    writeFileSync(jjConfig, '[user]\nname = "Agent"\nemail = "agent@example.org"\n');
    process.env.JJ_CONFIG = jjConfig;
    const dir = join(this.dir, "agent");
    mkdirSync(dir);
    const jj = (...args: string[]) => {
      const done = Bun.spawnSync(["jj", "--no-pager", "--color=never", "--quiet", ...args], {
        cwd: dir,
        env: process.env,
      });
      if (done.exitCode !== 0) throw new Error(`jj ${args.join(" ")}: ${done.stderr}`);
    };
    jj("git", "init", "--colocate", ".");
    writeFileSync(join(dir, "README"), "bench\n");
    jj("commit", "-m", "base");
    jj("bookmark", "create", "main", "-r", "@-");
    await this.desk.addProject(dir);
    return dir;
  }

  async stop(): Promise<void> {
    await this.server.stop();
    this.desk.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
