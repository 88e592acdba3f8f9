/**
 * Commands of the model's that take of the machine what they can get, run by opencode as `npm start` runs it, while the developer
 * goes on deciding. The agent's side has a small file system of its own here.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { type ScriptedModel, startScriptedModel, textOf } from "../../demo/scripted-model.ts";
import type { Hunk } from "../../plugin/src/protocol/model.ts";
import { BEGUN, DISK, type Hog } from "../support/hogs.ts";
import { isRoot, Launcher, type Started } from "../support/launcher.ts";
import { must, run } from "../support/processes.ts";
import { ROOT, until } from "../support/scene.ts";

const ORDINARY = 54_321;
const readable =
  run(["setpriv", `--reuid=${ORDINARY}`, "test", "-r", join(ROOT, "scripts/start/main.ts")]).code === 0;
const WAIT_MS = 60_000;
const FILES = 40;

/** A file system of a size, which only root can make. */
function mountSmall(launcher: Launcher, folder: string, megabytes: number): void {
  mkdirSync(folder, { recursive: true });
  must(["mount", "-t", "tmpfs", "-o", `size=${megabytes}M,mode=755`, "small", folder]);
  chmodSync(folder, 0o755);
  launcher.scene.atEnd(() => {
    must(["umount", "--lazy", folder]);
  });
}

class World {
  readonly #hunks: Hunk[];

  private constructor(
    readonly started: Started,
    private readonly model: ScriptedModel,
  ) {
    const suggestion = started.curl.list().at(-1);
    this.#hunks = suggestion === undefined ? [] : started.curl.hunks(suggestion.id);
  }

  static async start(launcher: Launcher, hogs: readonly Hog[], args: string[]): Promise<World> {
    const bash = (command: string) => ({ tool: "bash", args: { command, description: "Try" } });
    const model = await startScriptedModel({
      script: {
        conversations: [
          {
            when: "^Begin",
            turns: [
              { calls: [bash(`for i in $(seq ${FILES}); do echo "$i" > "new-$i.txt"; done`)] },
              { calls: [{ tool: "publish_suggestion", args: { description: "New files" } }] },
            ],
          },
          ...hogs.map(({ name, code }) => ({
            when: `^Try ${name}`,
            turns: [{ calls: [bash(code)] }, { calls: [bash("echo it runs")] }],
          })),
          { when: "^Go on", turns: [{ calls: [bash("echo it runs")] }] },
        ],
      },
    });
    launcher.scene.atEnd(() => model.stop());
    launcher.configure({
      provider: {
        own: {
          npm: "@ai-sdk/openai-compatible",
          options: { baseURL: model.url, apiKey: "none" },
          models: { "m-1": { tool_call: true, limit: { context: 200_000, output: 8192 } } },
        },
      },
    });
    const project = launcher.repository();
    must(["chmod", "-R", "a+rX", project]);
    const started = await launcher.start([project, "--ask", "Begin", ...args]);
    await until(
      "a suggestion with all hunks",
      () => started.curl.list().at(-1)?.hunk_count === FILES,
      WAIT_MS,
    );
    return new World(started, model);
  }

  /** What the commands of a prompt said, once there are so many. */
  async #said(prompt: string, count: number): Promise<string[]> {
    const shown = await until(
      `${count} commands of “${prompt}” to end`,
      () =>
        this.model.requests.find(
          ({ messages }) =>
            messages.some((one) => one.role === "user" && textOf(one).startsWith(prompt)) &&
            messages.filter(({ role }) => role === "tool").length === count,
        ),
      WAIT_MS,
    );
    return shown.messages.filter(({ role }) => role === "tool").map(textOf);
  }

  /** Decides on the next hunk, and has the server ask git for a file; both by curl. */
  decide(): void {
    const hunk = this.#hunks.shift();
    if (hunk === undefined) throw new Error("no hunk is left to be decided");
    expect(this.started.curl.decide(hunk, "accept")).toMatchObject({ success: true });
    const [id] = hunk.id.split(":");
    const file = `/suggestions/${id}/content?file=${encodeURIComponent(hunk.file)}&side=proposed`;
    expect(this.started.curl.get(file)).toMatchObject({ status: 200, body: { exists: true } });
  }

  get begun(): string {
    return join(this.started.ready.agent_repo, BEGUN);
  }

  /** Lets the model run a hog; decides as long as that runs. @returns what that and the command after it said */
  async run({ name }: Hog): Promise<[string, string]> {
    rmSync(this.begun, { force: true });
    this.prompt(`Try ${name}`);
    await until(`${name} to begin`, () => existsSync(this.begun), WAIT_MS);
    let over = false;
    const all = this.#said(`Try ${name}`, 2).finally(() => {
      over = true;
    });
    for (let n = 0; n < 3 || (!over && n < 10); n++) {
      this.decide();
      await Bun.sleep(100);
    }
    const [first = "", second = ""] = await all;
    return [first, second];
  }

  prompt(text: string): void {
    expect(this.started.curl.post("/ask", { text, new_session: true })).toMatchObject({ status: 200 });
  }

  async nextCommand(): Promise<string> {
    const before = this.model.requests.length;
    this.prompt(`Go on ${before}`);
    return (await this.#said(`Go on ${before}`, 1)).join("");
  }

  /** What the review server knows of stopped commands, once it knows of one of a kind. */
  stopped(kind: string): Promise<{ command?: string; reason: string; target: string }> {
    return until(`the server is told of ${kind}`, () => {
      const { refusals } = this.started.curl.get("/sandbox").body;
      return refusals.find((one: { kind: string; command?: string }) => one.kind === kind && one.command);
    });
  }

  says(text: RegExp): Promise<string> {
    const { running } = this.started;
    return until(`it says ${text}`, () => text.exec(running.err)?.[0]);
  }

  removeFill(): void {
    const { agent_repo: repo } = this.started.ready;
    for (const name of readdirSync(repo).filter((one) => one.startsWith("fill-"))) rmSync(join(repo, name));
  }
}

interface Kind {
  who: string;
  possible: boolean;
  make: () => Launcher;
  /** Folder of the agent's side, which gets a file system of its own. */
  side: (launcher: Launcher) => string;
  /** Size of that, where root makes it. */
  megabytes: number;
  args: string[];
  shortage: RegExp;
}

function holds({ who, possible, make, side, megabytes, args, shortage }: Kind): void {
  // Skipped where this kind of user cannot be had: the other one is then tried alone.
  describe.skipIf(!possible)(who, () => {
    let launcher: Launcher;
    let world: World;

    beforeAll(async () => {
      launcher = make();
      if (isRoot) mountSmall(launcher, side(launcher), megabytes);
      world = await World.start(launcher, [DISK], args);
    }, 180_000);
    afterAll(() => launcher?.scene.close(), 60_000);

    test(`${who}: a command that fills the disk is stopped and said why, the review goes on, and what is full is told once`, async () => {
      const [first, second] = await world.run(DISK);
      expect(first).toMatch(shortage);
      expect(first).not.toContain("got");
      // As long as there is no room, none begins.
      expect(second).toMatch(shortage);
      expect(second).not.toContain("it runs");
      expect(await world.stopped("disk")).toMatchObject({
        reason: expect.stringMatching(shortage),
        command: expect.stringContaining(BEGUN),
      });
      const { err } = world.started.running;
      expect(err.match(/the agent's commands are stopped/g)).toHaveLength(1);
      const { bavail, bsize } = statfsSync(world.started.ready.agent_repo);
      expect(bavail * bsize).toBeGreaterThan(0);
      world.removeFill();
      await world.says(/there is room on the agent's disk again/);
      expect(await world.nextCommand()).toContain("it runs");
    }, 90_000);
  });
}

holds({
  who: "root",
  possible: isRoot,
  make: () => new Launcher("lim"),
  side: ({ base }) => join(base, "projects"),
  megabytes: 400,
  args: ["--disk-reserve", "200M", "--disk", "1G"],
  shortage: /less than 200 MiB is free on the agent's disk/,
});
holds({
  who: "an ordinary user",
  possible: !isRoot || readable,
  make: () => new Launcher("lim-own", isRoot ? ORDINARY : null),
  side: ({ local }) => local,
  // The budget holds here.
  megabytes: 1500,
  args: ["--disk", "50M"],
  shortage: /the agent's side has grown by more than the 50 MiB that it may/,
});
