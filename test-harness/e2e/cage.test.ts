/**
 * What commands of the model's can reach, tried from the bash tool of opencode as `npm start` runs it: in the cage, and
 * the same without it, which shows what each try is worth.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type ChatMessage,
  type ScriptedModel,
  startScriptedModel,
  textOf,
} from "../../demo/scripted-model.ts";
import { ESCAPES, escapeScript, LEFT_RUNNING } from "../support/escapes.ts";
import { isRoot, Launcher, type Started } from "../support/launcher.ts";
import { descendants, must, processList, run } from "../support/processes.ts";
import { ROOT, until } from "../support/scene.ts";

/** A user that is nobody on this machine. */
const ORDINARY = 54_321;
/** Where the folders of this project can be read by another user. */
const readable =
  run(["setpriv", `--reuid=${ORDINARY}`, "test", "-r", join(ROOT, "scripts/start/main.ts")]).code === 0;

const WAIT = "until [ -e go ]; do sleep 0.05; done; bash tries.sh";
/** In a file of a folder that is shown. */
const SHOWN = "this is shown";

interface Outcome {
  started: Started;
  /** By name: "got" or "refused". */
  results: Map<string, string>;
  /** What the command said. */
  said: string;
  /** What the file tools said, each in the order of {@link fileCalls}. */
  files: string[];
  /** What the model was told before everything. */
  system: string;
}

/** Starts on a repository, and lets the model run the tries once everything is up. */
async function tryAll(launcher: Launcher, model: ScriptedModel, args: string[]): Promise<Outcome> {
  const { scene } = launcher;
  const asked = model.requests.length;
  const project = scene.path("project");
  if (!existsSync(project)) launcher.repository("project");
  const home = scene.folder("developer-home");
  scene.write("developer-home/secret.txt", "sentinel\n");
  must(["chmod", "-R", "a+rX", home, project]);
  const started = await launcher.start([project, "--ask", "Try it", ...args], {
    HOME: process.env.HOME ?? "",
  });
  const { agent_repo: repo, token_file: token } = started.ready;
  const dir = dirname(repo);
  const below = new Set(descendants(started.running.pid));
  const server = processList().find(({ pid, command }) => below.has(pid) && /opencode serve/.test(command));
  writeFileSync(
    join(repo, "tries.sh"),
    `${escapeScript({
      DEV_HOME: home,
      TOKEN: token,
      CHECKOUT: project,
      SERVER: String(server?.pid ?? 0),
      STATE: join(dir, "state"),
      HUB: must(["sh", "-c", `echo '${dir}'/state/git/*.git`]).trim(),
      CONFIG: join(dir, "config"),
      AGENT_HOME: join(dir, "home"),
    })}cat '${scene.path("shown/it")}'\n`,
    { mode: 0o644 },
  );
  chownSync(join(repo, "tries.sh"), statSync(repo).uid, statSync(repo).gid);
  writeFileSync(join(repo, "go"), "");
  const shown = await until(
    "the model is shown what its command said",
    () => model.requests.slice(asked).find(({ messages }) => messages.at(-1)?.role === "tool"),
    60_000,
  );
  const results = new Map(
    textOf(shown.messages.at(-1) ?? { role: "tool" })
      .split("\n")
      .flatMap((line) => {
        const [, result, name] = /^(got|refused) (.*)$/.exec(line) ?? [];
        return result === undefined || name === undefined ? [] : [[name, result] as const];
      }),
  );
  const gone = await until("what it left is gone", () => !leftRunning(), 3000).catch(() => false);
  results.set(LEFT_RUNNING, gone ? "refused" : "got");
  // Without the cage the host asks about a file outside, and nobody answers.
  const next = args.includes("--no-cage")
    ? shown
    : await until(
        "the model is shown what its file tools said",
        () => model.requests.slice(asked).find(({ messages }) => toolMessages(messages).length > 1),
        60_000,
      );
  scene.say(
    `${[...results.values()].filter((one) => one === "got").length} of ${results.size} tries got through`,
  );
  return {
    started,
    results,
    said: textOf(shown.messages.at(-1) ?? { role: "tool" }),
    files: toolMessages(next.messages).slice(1),
    system: shown.messages
      .filter(({ role }) => role === "system")
      .map(textOf)
      .join("\n"),
  };
}

const leftRunning = () => processList().some(({ command }) => command === "sleep 54321");
const toolMessages = (messages: readonly ChatMessage[]) =>
  messages.filter(({ role }) => role === "tool").map(textOf);

/** What the model tries with opencode's own tools, which run in opencode. */
const fileCalls = (launcher: Launcher) => [
  { tool: "write", args: { filePath: "opencode.json", content: "{}" } },
  { tool: "write", args: { filePath: ".opencode/plugins/evil.js", content: "evil" } },
  { tool: "read", args: { filePath: launcher.scene.path("developer-home/secret.txt") } },
  { tool: "read", args: { filePath: "link" } },
];

const setModel = async (launcher: Launcher): Promise<ScriptedModel> => {
  const turns = [
    { calls: [{ tool: "bash", args: { command: WAIT, description: "Try it" } }] },
    { calls: fileCalls(launcher) },
    { text: "Tried." },
  ];
  const model = await startScriptedModel({ script: { conversations: [{ when: "Try it", turns }] } });
  launcher.scene.atEnd(() => model.stop());
  launcher.configure({
    provider: {
      own: {
        npm: "@ai-sdk/openai-compatible",
        options: { baseURL: model.url, apiKey: "key-sentinel" },
        models: { "m-1": { tool_call: true, limit: { context: 200_000, output: 8192 } } },
      },
    },
  });
  return model;
};

/** Both runs of one kind of user, and a test for each try. */
function holds(who: string, possible: boolean, make: () => Launcher, got: (name: string) => boolean): void {
  // Skipped where this kind of user cannot be had: the other one is then tried alone.
  describe.skipIf(!possible)(who, () => {
    let launcher: Launcher;
    let caged: Outcome;
    let open: Outcome;

    beforeAll(async () => {
      launcher = make();
      const model = await setModel(launcher);
      launcher.scene.write("shown/it", SHOWN);
      must(["chmod", "-R", "a+rX", launcher.scene.path("shown")]);
      caged = await tryAll(launcher, model, ["--show", launcher.scene.path("shown")]);
      await launcher.stop(caged.started);
      // The next one waits for its own word.
      rmSync(join(caged.started.ready.agent_repo, "go"));
      open = await tryAll(launcher, model, ["--no-cage"]);
      await launcher.stop(open.started);
    }, 240_000);
    afterAll(() => launcher?.scene.close(), 60_000);

    for (const { name } of ESCAPES) {
      test(`${who}, in the cage: ${name}`, () => expect(caged.results.get(name)).toBe("refused"));
    }
    test(`${who}, without the cage the same tries get through`, () => {
      const expected = ESCAPES.map(({ name }) => [name, got(name) ? "got" : "refused"]);
      expect(Object.fromEntries(open.results)).toEqual(Object.fromEntries(expected));
    });
    test(`${who}, in the cage: opencode's own tools neither plant anything nor leave the repository`, () => {
      expect(caged.files.length).toBe(4);
      for (const said of caged.files) {
        expect(said).toMatch(/rule|prevents|denied|is not followed/i);
        expect(said).not.toContain("sentinel");
      }
    });
    test(`${who}: what was planted without the cage is named, and not loaded by the next start in it`, () => {
      const again = launcher.refused([launcher.scene.path("project")]);
      expect(again.code).toBe(1);
      expect(again.err).toMatch(/no commit of yours has.*opencode\.json/);
    }, 90_000);
    test(`${who}, in the cage: a folder that is named with --show can be read`, () => {
      expect(caged.said).toContain(SHOWN);
    });
    test(`${who}: the start says what holds, and the model is told of a cage that is there`, () => {
      expect(caged.started.running.err).toContain("each command of the agent's runs in a cage");
      expect(caged.system).toContain("Each shell command runs in a cage");
      expect(open.started.running.err).toContain("NO CAGE, because --no-cage was given");
      expect(open.system).not.toContain("Each shell command runs in a cage");
    });
  });
}

const heldBy = new Map(ESCAPES.map((one) => [one.name, one.heldBy]));
holds(
  "a user of its own",
  isRoot,
  () => new Launcher("cage"),
  (name) => heldBy.get(name) === undefined,
);
holds(
  "an ordinary user",
  !isRoot || readable,
  () => new Launcher("cage-own", isRoot ? ORDINARY : null),
  (name) => heldBy.get(name) !== "root",
);

// Skipped where the folder of this project is closed to other users.
describe.skipIf(isRoot && !readable)("an ordinary user's demo", () => {
  const launcher = new Launcher("cage-loop", isRoot ? ORDINARY : null);
  afterAll(() => launcher.scene.close(), 60_000);

  test("goes the whole way in the cage: edits, tests, publishes, is decided on and finalized", async () => {
    const { running, ready, curl } = await launcher.start([]);
    expect(running.err).toContain("each command of the agent's runs in a cage");
    // What the scripted agent tried last before it published passed: its commands did their work.
    const tests = running.err.split("\n").filter((line) => line.includes("$ bun test"));
    expect(tests.length).toBeGreaterThan(1);
    expect(tests.at(-1)).not.toContain("exit");
    const [suggestion] = curl.list();
    if (suggestion === undefined) throw new Error("nothing was published");
    for (const hunk of curl.hunks(suggestion.id)) curl.decide(hunk, "accept");
    const { ref } = curl.finalize(suggestion.id);
    expect(ref).toContain("suggestions/");
    // What takes the names of opencode's settings is in no suggestion.
    expect(suggestion.files.filter((file) => file.includes("opencode"))).toEqual([]);
    expect(existsSync(join(ready.agent_repo, "opencode.json"))).toBe(true);
  }, 180_000);
});

// Skipped off Linux, which alone has the namespaces.
describe.skipIf(process.platform !== "linux")("where user namespaces are forbidden", () => {
  const launcher = new Launcher("cage-none");
  afterAll(() => launcher.scene.close(), 60_000);

  test("a start stops, names the setting and what goes on without a cage, and makes nothing", () => {
    const project = launcher.repository();
    // A user namespace has that setting for itself: the machine's is not touched.
    const forbidden = [
      "unshare",
      "--user",
      "--map-user=54321",
      "--map-group=54321",
      "--keep-caps",
      "sh",
      "-c",
    ];
    const code = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"';
    const start = [
      "bun",
      "--no-env-file",
      join(ROOT, "scripts/start/main.ts"),
      "--headless",
      "--json",
      "--port",
      "0",
    ];
    const done = run([...forbidden, code, "sh", ...start, project], { env: launcher.env, timeoutMs: 60_000 });
    expect(done).toMatchObject({ code: 1, out: "" });
    expect(done.err).toContain("user.max_user_namespaces = 0");
    expect(done.err).toContain("--no-cage");
    expect(existsSync(join(launcher.local, "projects"))).toBe(false);
  }, 90_000);

  test("a folder to show that is not there is refused by name", () => {
    const done = launcher.refused(["--show", launcher.scene.path("nowhere")]);
    expect(done).toMatchObject({ code: 2, out: "" });
    expect(done.err).toMatch(/--show: expected a folder, .*nowhere is not there/);
  }, 90_000);
});
