/** `npm run serve`: every option as a flag, and repositories that are not as one would have them. */
import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { runConfined } from "../../scripts/start/confined.ts";
import { visible, visibleLine } from "../../scripts/start/visible.ts";
import { Curl } from "../support/curl.ts";
import { must, Running, run } from "../support/processes.ts";
import { Repository } from "../support/repository.ts";
import { ROOT, Scene, until } from "../support/scene.ts";
import { type ReadyLine, serve } from "../support/server.ts";

const scenes: Scene[] = [];
afterAll(async () => {
  for (const scene of scenes) await scene.close();
});
const sceneFor = (name: string): Scene => {
  const scene = new Scene(name);
  scenes.push(scene);
  return scene;
};

test("C1: serve takes every option of the server as a flag", async () => {
  const scene = sceneFor("serve-options");
  const agent = Repository.agent(scene);
  agent.workOnDemo();
  const state = scene.path("state");
  const running = Running.start(scene, "serve", [
    ...[
      "bun",
      join(ROOT, "plugin/src/serve.ts"),
      "--project",
      agent.dir,
      "--port",
      "0",
      "--state",
      state,
      "--json",
    ],
    ...[
      "--auto-sync",
      "--sync-prefix",
      "ai/",
      "--agent-may-approve",
      "--feedback-log",
      scene.path("log.jsonl"),
    ],
  ]);
  const ready = await running.readyLine<ReadyLine>();
  const curl = new Curl(scene, ready.url, ready.token_file);
  const { suggestion_id: id } = curl.post("/suggestions", { description: "All of it" }).body;
  curl.post("/feedback/batch", { suggestion_id: id, scope: { action: "accept" } });
  const done = await until("it finalizes by itself", () => {
    const one = curl.suggestion(id);
    return one.state === "finalized" ? one : null;
  });
  expect(done.result?.ref).toMatch(/^ai\//);
  await until("the log is where it was said", () => existsSync(scene.path("log.jsonl")));
}, 60_000);

test("C1: serve refuses a flag's value by the flag's name", () => {
  const done = run([
    "bun",
    join(ROOT, "plugin/src/serve.ts"),
    "--project",
    ".",
    "--verify-timeout-seconds",
    "0",
  ]);
  expect(done.code).toBe(1);
  expect(done.err).toContain("--verify-timeout-seconds: ");
});

test("D5: serve finds the shared branch of a repository that is not colocated", async () => {
  const scene = sceneFor("serve-apart");
  const dir = scene.folder("agent");
  const jj = (...args: string[]) => must(["jj", "--quiet", ...args], { cwd: dir, env: scene.env });
  jj("git", "init", "--no-colocate", ".");
  scene.write("agent/a.txt", "one\n");
  jj("commit", "-m", "base");
  jj("bookmark", "create", "main", "-r", "@-");
  scene.write("agent/a.txt", "two\n");
  const { curl, ready } = await serve(scene, dir);
  const hub = join(scene.path("state/git"), new URL(ready.remote).pathname.split("/").at(-1) ?? "");
  const shared = must(["git", `--git-dir=${hub}`, "rev-parse", "refs/heads/main"], { env: scene.env });
  expect(shared.trim()).toBe(jj("log", "--no-graph", "-r", "main", "-T", "commit_id").trim());
  const published = curl.post("/suggestions", { description: "Two" });
  expect(published.status).toBe(201);
  const [hunk] = curl.hunks(published.body.suggestion_id);
  if (hunk === undefined) throw new Error("no hunk");
  curl.decide(hunk, "accept");
  expect(curl.finalize(published.body.suggestion_id).ref).toStartWith("suggestions/");
}, 60_000);

test("D16: publishing signs nothing, though the agent's settings ask for it with a key that waits", async () => {
  const scene = sceneFor("serve-signing");
  const agent = Repository.agent(scene);
  const mark = scene.path("signing-ran");
  const program = scene.write("sign.sh", `#!/bin/sh\n: > '${mark}'\nexec sleep 1000\n`);
  chmodSync(program, 0o755);
  for (const [name, value] of [
    ["signing.behavior", "own"],
    ["signing.backend", "gpg"],
    ["signing.key", "locked"],
    ["signing.backends.gpg.program", program],
    ["git.sign-on-push", "true"],
  ] as const)
    agent.jj("--config", "signing.behavior=drop", "config", "set", "--repo", name, value);
  agent.workOnDemo();
  const { curl } = await serve(scene, agent.dir);
  const published = curl.post("/suggestions", { description: "Unsigned" });
  expect(published.status).toBe(201);
  const hunks = curl.hunks(published.body.suggestion_id);
  for (const hunk of hunks) curl.decide(hunk, hunk === hunks[0] ? "reject" : "accept");
  expect(curl.post("/settle", {}).body).toMatchObject({ settled: true });
  curl.finalize(published.body.suggestion_id);
  expect(curl.post("/settle", {}).body).toMatchObject({ settled: true });
  expect(existsSync(mark)).toBe(false);
}, 60_000);

test("D16: what does not end is stopped with all it started, and this is said", async () => {
  const env = { PATH: process.env.PATH ?? "" };
  const slow = await runConfined(["sh", "-c", "sleep 1000 & echo begun; wait"], {
    cwd: "/",
    env,
    timeoutMs: 300,
  });
  expect(slow).toMatchObject({ stdout: "begun\n", problem: "did not end within 0.3 s and was stopped" });
  // Gone itself, while something it started holds its output.
  const left = await runConfined(["sh", "-c", "setsid sleep 20 & echo done"], { cwd: "/", env });
  expect(left).toMatchObject({ stdout: "done\n", exitCode: 0, problem: null });
  const endless = await runConfined(["yes"], { cwd: "/", env, outputBytes: 4096 });
  expect(endless.problem).toContain("wrote more than 4 kB");
}, 30_000);

test("B10: text of the agent's side is made harmless for a terminal", () => {
  expect(visible("\u001b]0;t\u0007\u009b31m\u202e\u200b\ttab\nnext\r")).toBe(
    "^[]0;t^G<U+009B>31m<U+202E><U+200B>\ttab\nnext^M",
  );
  expect(visible("\u3164\ufe0f\u2800\u{e0061}")).toBe("<U+3164><U+FE0F><U+2800><U+E0061>");
  expect(visibleLine("one\nstart: two")).toBe("one⏎start: two");
  expect(visibleLine("x".repeat(500))).toHaveLength(401);
});
