/** A real jj repository and a desk over it, outside any host: what a settle does to the agent's changes can be looked at. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import type { ReviewEvent } from "../../src/protocol/events.ts";
import { Desk } from "../../src/review/desk.ts";

/** Identity and settings of the test's own, so that the machine's do not matter. */
export function isolateJj(root: string): string {
  const path = join(root, "jj.toml");
  writeFileSync(path, '[user]\nname = "Agent"\nemail = "agent@example.org"\n[ui]\npaginate = "never"\n');
  process.env.JJ_CONFIG = path;
  return path;
}

export const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `line ${index + 1}`);

export interface DeskPlace {
  root: string;
  /** The agent's repository. */
  dir: string;
  desk: Desk;
  events: ReviewEvent[];
  errors: string[];
  jj(...args: string[]): string;
  /** One value of one revision, by template. */
  log(revset: string, template: string): string;
  file(path: string, revision?: string): string;
  write(path: string, text: string): void;
  /** Replaces whole lines of a file on disk. */
  edit(path: string, lines: Record<string, string>): void;
  publish(changeId?: string): Promise<{ id: string; hunks: { id: string; file: string; diff: string }[] }>;
  reject(suggestion: string, containing: string): void;
  settle(): Promise<{ settled: boolean; message: string }>;
  /** A desk over the same state, as after a restart. */
  restart(): Promise<Desk>;
  /** Nothing is divergent or conflicted, and the working copy is not stale. */
  health(): { divergent: string; conflicted: string; stale: boolean };
  close(): void;
}

export async function deskPlace(init: string[] = ["--colocate"]): Promise<DeskPlace> {
  const root = mkdtempSync(join(tmpdir(), "sm-settle-"));
  isolateJj(root);
  const dir = join(root, "agent");
  mkdirSync(dir);
  const jj = (...args: string[]): string => {
    const done = Bun.spawnSync(["jj", "--no-pager", "--color=never", "--quiet", ...args], {
      cwd: dir,
      env: process.env,
    });
    if (done.exitCode !== 0) throw new Error(`jj ${args.join(" ")}: ${done.stderr}`);
    return done.stdout.toString();
  };
  const open = () =>
    new Desk(loadConfig({ state_dir: join(root, "state"), feedback_log: join(root, "feedback.jsonl") }));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  };
  jj("git", "init", ...init, ".");
  write("poem.txt", `${numbered(60).join("\n")}\n`);
  write("other.txt", `${numbered(20).join("\n")}\n`);
  jj("commit", "-m", "base");
  jj("bookmark", "create", "main", "-r", "@-");
  const events: ReviewEvent[] = [];
  const errors: string[] = [];
  const start = async () => {
    const desk = open();
    desk.onRemark = (level, message) => level === "error" && errors.push(message);
    desk.subscribe((event) => events.push(event));
    await desk.addProject(dir);
    return desk;
  };
  const place: DeskPlace = {
    root,
    dir,
    desk: await start(),
    events,
    errors,
    jj,
    log: (revset, template) => jj("log", "--no-graph", "-r", revset, "-T", template),
    file: (path, revision) =>
      revision === undefined
        ? readFileSync(join(dir, path), "utf8")
        : jj("file", "show", "-r", revision, path),
    write,
    edit(path, lines) {
      let text = readFileSync(join(dir, path), "utf8");
      for (const [from, to] of Object.entries(lines)) text = text.replace(`${from}\n`, `${to}\n`);
      write(path, text);
    },
    async publish(changeId) {
      const result = await place.desk.publish(
        {
          description: "Better poem",
          project: dir,
          ...(changeId === undefined ? {} : { change_id: changeId }),
        },
        "agent",
      );
      const { hunks } = place.desk.hunks(result.suggestion_id, { limit: 1000, offset: 0 });
      return { id: result.suggestion_id, hunks };
    },
    reject(suggestion, containing) {
      const hunk = place.desk
        .hunks(suggestion, { limit: 1000, offset: 0 })
        .hunks.find(({ diff }) => diff.includes(containing));
      if (hunk === undefined) throw new Error(`no hunk holds ${containing}`);
      place.desk.decide({ suggestion_id: suggestion, hunk_id: hunk.id, action: "reject" }, "developer");
    },
    settle: () => place.desk.settle({ project: dir }, "agent"),
    async restart() {
      place.desk.close();
      place.desk = await start();
      return place.desk;
    },
    health() {
      const stale = Bun.spawnSync(["jj", "status"], { cwd: dir, env: process.env }).exitCode !== 0;
      const list = (revset: string) =>
        jj("--ignore-working-copy", "log", "--no-graph", "-r", revset, "-T", 'change_id ++ "\\n"');
      return { divergent: list("divergent()"), conflicted: list("conflicts()"), stale };
    },
    close() {
      place.desk.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
  return place;
}

export const HEALTHY = { divergent: "", conflicted: "", stale: false };
