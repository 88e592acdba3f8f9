/**
 * Commands of the model's that take of the machine what they can get, run by opencode as `npm start` runs it, while the developer
 * goes on deciding. The agent's side has a small file system of its own here.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { type ScriptedModel, startScriptedModel, textOf } from "../../demo/scripted-model.ts";
import type { Hunk } from "../../plugin/src/protocol/model.ts";
import {
  BEGUN,
  DESCRIPTORS,
  DISK,
  FILES_IN_MEMORY,
  type Hog,
  hogScript,
  MEMORY,
  OTHERS,
  saidOf,
} from "../support/hogs.ts";
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

const promptFor = (hogs: readonly Hog[]) => `Try ${hogs.map(({ name }) => name).join(", ")}.`;
/** A script, and no command: the host looks into that for files outside, and asks or refuses. */
const SCRIPT = "hogs.sh";

/** What the tools of a prompt said, once there are so many. */
async function saidBy(model: ScriptedModel, prompt: string, count: number): Promise<string[]> {
  const shown = await until(
    `${count} tools of “${prompt}” to end`,
    () =>
      model.requests.find(
        ({ messages }) =>
          messages.some((one) => one.role === "user" && textOf(one).startsWith(prompt)) &&
          messages.filter(({ role }) => role === "tool").length === count,
      ),
    WAIT_MS,
  );
  return shown.messages.filter(({ role }) => role === "tool").map(textOf);
}

/**
 * On a machine that is kept busy, what curl has printed is lost now and then between it and this process (Bun 1.3.14): it ended
 * with 0 and said nothing, not even the status. It is asked once more then; the same decision again changes nothing.
 */
function heard<Answer>(ask: () => Answer): Answer {
  for (let tries = 1; ; tries++) {
    try {
      return ask();
    } catch (error) {
      if (tries === 3 || !/^curl .*: 0 $/.test((error as Error).message)) throw error;
    }
  }
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

  static async start(
    launcher: Launcher,
    commands: readonly (readonly Hog[])[],
    args: string[],
  ): Promise<World> {
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
          ...commands.map((hogs) => ({
            when: `^${promptFor(hogs)}`,
            turns: [{ calls: [bash(`bash ${SCRIPT}`)] }, { calls: [bash("echo it runs")] }],
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
    // The agent's files keep still then.
    await saidBy(model, "Begin", 2);
    return new World(started, model);
  }

  /** Decides on the next hunk, and has the server ask git for a file; both by curl. */
  decide(): void {
    const hunk = this.#hunks.shift();
    if (hunk === undefined) throw new Error("no hunk is left to be decided");
    const decided = heard(() => this.started.curl.decide(hunk, "accept"));
    expect(decided).toMatchObject({ success: true });
    const [id] = hunk.id.split(":");
    const file = `/suggestions/${id}/content?file=${encodeURIComponent(hunk.file)}&side=proposed`;
    const content = heard(() => this.started.curl.get(file));
    expect(content).toMatchObject({ status: 200, body: { exists: true } });
  }

  get begun(): string {
    return join(this.started.ready.agent_repo, BEGUN);
  }

  /** Lets the model run hogs; decides meanwhile. @returns what their command and the one after it said */
  async run(hogs: readonly Hog[], decisions = 3): Promise<[string, string]> {
    this.prompt(hogs);
    await until("it to begin", () => existsSync(this.begun), WAIT_MS);
    let over = false;
    const all = saidBy(this.model, promptFor(hogs), 2).finally(() => {
      over = true;
    });
    // Where a decision fails, that is what the test says.
    all.catch(() => undefined);
    for (let n = 0; n < decisions || (!over && n < 3 * decisions); n++) {
      this.decide();
      await Bun.sleep(100);
    }
    const [first = "", second = ""] = await all;
    return [first, second];
  }

  prompt(hogs: readonly Hog[]): void {
    const { agent_repo: repo } = this.started.ready;
    rmSync(this.begun, { force: true });
    writeFileSync(join(repo, SCRIPT), hogScript(hogs), { mode: 0o644 });
    chownSync(join(repo, SCRIPT), statSync(repo).uid, statSync(repo).gid);
    this.#ask(promptFor(hogs));
  }

  #ask(text: string): void {
    expect(this.started.curl.post("/ask", { text, new_session: true })).toMatchObject({ status: 200 });
  }

  async nextCommand(): Promise<string> {
    const before = this.model.requests.length;
    this.#ask(`Go on ${before}`);
    return (await saidBy(this.model, `Go on ${before}`, 1)).join("");
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

/** What the model was shown of its commands. */
interface Outcome {
  disk: [string, string];
  /** The command after there was room again. */
  afterwards: string;
  memory: [string, string];
  others: [string, string];
  stopped: Record<"disk" | "memory", Record<string, unknown>>;
  /** Bytes that were free when the disk was said to be full. */
  free: number;
}

async function tryAll(world: World): Promise<Outcome> {
  const disk = await world.run([DISK]);
  const { bavail, bsize } = statfsSync(world.started.ready.agent_repo);
  const whole = { disk, free: bavail * bsize, stopped: { disk: await world.stopped("disk") } };
  world.removeFill();
  await world.says(/there is room on the agent's disk again/);
  const afterwards = await world.nextCommand();
  const memory = await world.run([MEMORY]);
  const stopped = { ...whole.stopped, memory: await world.stopped("memory") };
  return { ...whole, afterwards, memory, stopped, others: await world.run(OTHERS) };
}

function holds({ who, possible, make, side, megabytes, args, shortage }: Kind): void {
  // Skipped where this kind of user cannot be had: the other one is then tried alone.
  describe.skipIf(!possible)(who, () => {
    let launcher: Launcher;
    let world: World;
    let outcome: Outcome;

    beforeAll(async () => {
      launcher = make();
      if (isRoot) mountSmall(launcher, side(launcher), megabytes);
      const commands = [[DISK], [MEMORY], OTHERS];
      world = await World.start(launcher, commands, ["--memory", "300M", "--processes", "400", ...args]);
      outcome = await tryAll(world);
    }, 240_000);
    afterAll(() => launcher?.scene.close(), 60_000);

    test(`${who}: ${DISK.name}: the command is stopped and said why, the review goes on, and it is told once`, () => {
      const [first, second] = outcome.disk;
      expect(first).toMatch(shortage);
      expect(first).not.toContain("got");
      // As long as there is no room, none begins.
      expect(second).toMatch(shortage);
      expect(second).not.toContain("it runs");
      expect(outcome.stopped.disk).toMatchObject({
        reason: expect.stringMatching(shortage),
        command: `bash ${SCRIPT}`,
      });
      expect(world.started.running.err.match(/the agent's commands are stopped/g)).toHaveLength(1);
      expect(outcome.free).toBeGreaterThan(2 ** 20);
      expect(outcome.afterwards).toContain("it runs");
    });

    test(`${who}: ${MEMORY.name}: the command is stopped and said why, the review goes on, and the next one runs`, () => {
      const [first, second] = outcome.memory;
      expect(first).toMatch(/ended by force.* 300 MiB of memory and 400 processes/);
      expect(first).not.toContain("got");
      expect(second).toContain("it runs");
      expect(outcome.stopped.memory).toMatchObject({
        reason: "the agent's commands had more than the 300 MiB of memory that they may",
        command: `bash ${SCRIPT}`,
      });
    });

    for (const hog of OTHERS)
      test(`${who}: ${hog.name}: the command does not get it, the review goes on, and the next one runs`, () => {
        const [first, second] = outcome.others;
        expect(saidOf(first, hog)).not.toContain("got");
        expect(saidOf(first, hog)).toContain("done");
        expect(second).toContain("it runs");
      });
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

// Skipped for an ordinary user: without a small file system, which root makes, the machine's own disk would be filled.
describe.skipIf(!isRoot || !readable)("without the cage", () => {
  let launcher: Launcher;
  let world: World;
  let said: string;

  beforeAll(async () => {
    launcher = new Launcher("lim-open", ORDINARY);
    mountSmall(launcher, launcher.local, 200);
    const all = [MEMORY, ...OTHERS];
    world = await World.start(launcher, [all, [DISK]], ["--no-cage"]);
    [said] = await world.run(all, 0);
  }, 240_000);
  afterAll(() => launcher?.scene.close(), 60_000);

  // The machine itself may have limits on open files and on files in memory, as a container does.
  const open = Number(must(["sh", "-c", "ulimit -Hn"])) || Number.POSITIVE_INFINITY;
  const { bavail, bsize } = statfsSync("/dev/shm");
  const held = new Map([
    [DESCRIPTORS, open < 18_010],
    [FILES_IN_MEMORY, bavail * bsize < 600 * 2 ** 20],
  ]);
  for (const hog of [MEMORY, ...OTHERS])
    test(`without the cage: ${hog.name} gets through`, () =>
      expect(saidOf(said, hog)).toContain(held.get(hog) === true ? "done" : "got"));

  // opencode itself does not get over it: nothing is to come after this.
  test(`without the cage: ${DISK.name} gets through`, async () => {
    world.prompt([DISK]);
    await until("the disk to be full", () => statfsSync(launcher.local).bavail === 0, WAIT_MS);
  }, 90_000);
});
