/** Every flag of `npm start`, `npm run serve`, `npm run sandbox` and `npm run teardown` does what its help says. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { startScriptedModel } from "../../demo/scripted-model.ts";
import { Curl } from "../support/curl.ts";
import { isRoot, Launcher } from "../support/launcher.ts";
import { contraries, remainingFlags } from "../support/option-samples.ts";
import { descendants, must, processList, Running, run } from "../support/processes.ts";
import { Repository } from "../support/repository.ts";
import { ROOT, Scene, until } from "../support/scene.ts";
import type { ReadyLine } from "../support/server.ts";

const MINUTES = 240_000;
const scene = new Scene("flags");
afterAll(() => scene.close(), 60_000);

test("each command says how it is used", () => {
  for (const command of [["start"], ["run", "serve"], ["run", "sandbox"], ["run", "teardown"]]) {
    const done = run(["npm", "--silent", ...command, "--", "--help"], { cwd: ROOT });
    expect(done.out).toStartWith("usage: npm ");
    expect(done.code).toBe(0);
  }
}, 60_000);

let runs = 0;
async function served(...args: string[]): Promise<{ running: Running; ready: ReadyLine; curl: Curl }> {
  const argv = ["bun", join(ROOT, "plugin/src/serve.ts"), "--port", "0", "--state", scene.path("state")];
  const running = Running.start(scene, `serve-${++runs}`, [...argv, "--json", ...args]);
  const ready = await running.readyLine<ReadyLine>();
  return { running, ready, curl: new Curl(scene, ready.url, ready.token_file) };
}

test("serve has the options of its flags, and finds a project that was moved", async () => {
  const agent = Repository.agent(scene);
  const remote = scene.path("remote.git");
  must(["git", "init", "--quiet", "--bare", remote], { env: scene.env });
  const given = [
    ...["--project", agent.dir, "--host", "127.0.0.2", "--log-level", "debug", "--no-auto-sync"],
    ...["--sync-remote", remote, "--sync-branch", "reviewed", "--sync-base", "main", "--sync-prefix", "ai/"],
    ...["--sync-push-branches", "topic/*", "--verify-command", "true", "--verify-timeout-seconds", "7"],
    ...["--agent-may-approve", "--allowed-origins", "http://localhost:1", "--feedback-log", scene.path("f")],
  ];
  const { flags } = remainingFlags([...given, "--port", "--state", "--socket"]);
  const { running, ready, curl } = await served(...given, ...flags);
  expect(ready.url).toStartWith("http://127.0.0.2:");
  const { body: settings } = curl.get("/settings");
  expect(JSON.stringify(settings)).toContain('"reviewed"');
  expect(settings).toMatchObject({
    sync: { branch: "reviewed", base: "main", prefix: "ai/" },
    verify: { timeout_seconds: 7 },
    agent_may_approve: true,
  });
  expect(curl.get("/health", { headers: ["Origin: http://localhost:1"] }).status).toBe(200);
  expect(curl.get("/health", { headers: ["Origin: http://localhost:2"] }).status).toBe(403);
  agent.workOnDemo();
  const { suggestion_id: id } = curl.post("/suggestions", { description: "Before the move" }).body;
  await running.stop();
  expect(running.err).toContain('"level":"debug"');

  const moved = scene.path("moved");
  renameSync(agent.dir, moved);
  const again = await served(
    "--project",
    moved,
    "--moved-from",
    agent.dir,
    ...contraries([...given, ...flags]),
  );
  expect(again.curl.suggestion(id).project).toBe(moved);
  expect(again.curl.get("/settings").body).toMatchObject({ agent_may_approve: false, auto_sync: true });
  await again.running.stop();
}, 90_000);

test("serve listens on a socket in place of its port", async () => {
  const agent = Repository.agent(scene, "on-a-socket");
  const socket = scene.path("serve.sock");
  const argv = ["bun", join(ROOT, "plugin/src/serve.ts"), "--project", agent.dir, "--json"];
  const options = ["--port", "4999", "--state", scene.path("socket-state"), "--socket", socket];
  const running = Running.start(scene, "serve-socket", [...argv, ...options]);
  const ready = await running.readyLine<ReadyLine>();
  expect(ready.url).toBe("http://127.0.0.1:4999");
  const asked = run(["curl", "-sS", "--unix-socket", socket, `${ready.url}/health`]);
  expect(JSON.parse(asked.out)).toMatchObject({ service: "suggestion-manager" });
  expect(run(["curl", "-sS", `${ready.url}/health`]).code).not.toBe(0);
  await running.stop();
}, 60_000);

// Without root there is no second user to do without.
// Skipped for an ordinary user: only root can make the separate user that this is about.
describe.skipIf(!isRoot)("npm start", () => {
  const launcher = new Launcher("flags");
  afterAll(() => launcher.scene.close(), 120_000);

  test(
    "takes the words, variables and options it is given, as the same user",
    async () => {
      const model = await startScriptedModel({ script: { conversations: [] } });
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
      const dir = launcher.repository("own");
      launcher.scene.write("own/a.txt", "not committed\n");
      const log = launcher.scene.path("feedback.jsonl");
      must(["git", "init", "--quiet", "--bare", launcher.scene.path("r.git")], { env: launcher.env });
      const given = [
        ...[
          dir,
          "--same-user",
          "--allow-dirty",
          "--ask",
          "Please say hello",
          "--env",
          "npm_config_offline",
          "--env",
          "HANDED_OVER",
        ],
        ...["--feedback-log", log, "--sync-remote", launcher.scene.path("r.git"), "--sync-branch", "done"],
        ...["--sync-base", "main", "--sync-prefix", "ai/", "--sync-push-branches", "topic/*"],
        ...["--verify-command", "true", "--verify-timeout-seconds", "7", "--log-level", "debug"],
        ...["--host", "127.0.0.2", "--allowed-origins", "http://localhost:1", "--no-auto-sync"],
        ...["--state", launcher.scene.path("elsewhere"), "--agent-may-approve"],
      ];
      const rest = remainingFlags([...given, "--port", "--socket"]);
      const started = await launcher.start([...given, ...rest.flags], {
        npm_config_offline: "true",
        HANDED_OVER: "a word",
        NOT_HANDED_OVER: "another",
      });
      const file = join(dirname(started.ready.agent_repo), "config/opencode/opencode.json");
      const { plugin, snapshot } = JSON.parse(readFileSync(file, "utf8")) as {
        plugin: [[string, object]];
        snapshot: boolean;
      };
      expect(snapshot).toBe(false);
      expect(plugin[0][1]).toMatchObject({
        host: "127.0.0.2",
        state_dir: launcher.scene.path("elsewhere"),
        feedback_log: log,
        auto_sync: false,
        agent_may_approve: true,
        allowed_origins: ["http://localhost:1"],
        log_level: "debug",
        sync: {
          remote: launcher.scene.path("r.git"),
          branch: "done",
          base: "main",
          prefix: "ai/",
          push_branches: ["topic/*"],
        },
        verify: { command: "true", timeout_seconds: 7 },
      });
      expect(plugin[0][1]).toMatchObject(rest.options);
      expect(must(["stat", "-c", "%u", started.ready.agent_repo]).trim()).toBe("0");
      expect(readFileSync(join(started.ready.agent_repo, "a.txt"), "utf8")).toBe("one\n");
      const environments = descendants(started.running.pid)
        .filter((pid) =>
          processList().some((one) => one.pid === pid && one.command.includes("opencode serve")),
        )
        .map((pid) => readFileSync(`/proc/${pid}/environ`, "utf8").split("\0"));
      expect(environments.some((one) => one.includes("HANDED_OVER=a word"))).toBe(true);
      expect(environments.some((one) => one.includes("NOT_HANDED_OVER=another"))).toBe(false);
      await until("the agent is asked", () =>
        model.requests.some((request) => JSON.stringify(request).includes("Please say hello")),
      );
      await launcher.stop(started);
      const again = await launcher.start([dir, "--same-user", ...contraries([...given, ...rest.flags])]);
      expect(readFileSync(file, "utf8")).toMatch(/"agent_may_approve": ?false/);
      expect(readFileSync(file, "utf8")).toMatch(/"auto_sync": ?true/);
      await launcher.stop(again);
    },
    MINUTES,
  );

  test(
    "--fresh leaves a demo that is under review, and makes another",
    async () => {
      const first = await launcher.start([]);
      await launcher.stop(first);
      const second = await launcher.start(["--fresh"]);
      expect(second.ready.checkout).not.toBe(first.ready.checkout);
      expect(existsSync(first.ready.checkout)).toBe(true);
      await launcher.stop(second);
    },
    MINUTES,
  );

  test(
    "teardown with --yes and --delete-unpublished removes what was made",
    () => {
      const flags = ["--yes", "--delete-unpublished"];
      const done = run(["npm", "--silent", "run", "teardown", "--", ...flags], {
        cwd: ROOT,
        env: launcher.env,
        timeoutMs: 100_000,
      });
      expect([done.code, done.err.trim().split("\n").at(-1)]).toEqual([
        0,
        expect.stringContaining("removed"),
      ]);
      expect(existsSync(join(launcher.local, "demo"))).toBe(false);
    },
    MINUTES,
  );
});
