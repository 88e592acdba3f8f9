/** The server without opencode, for an agent of any kind: publish, decide, hear of it in the next call, settle. */
import { afterAll, expect, test } from "bun:test";
import { Curl } from "../support/curl.ts";
import { fetchHub, treeOf } from "../support/expected-tree.ts";
import { descendants, processList, Running } from "../support/processes.ts";
import { Repository } from "../support/repository.ts";
import { ROOT, Scene, until } from "../support/scene.ts";
import { type ReadyLine, serve } from "../support/server.ts";

const scene = new Scene("serve");
const closing = [scene];
afterAll(async () => {
  for (const one of closing) await one.close();
});

test("an agent without opencode publishes, hears the decisions in its next call, and settles", async () => {
  const agent = Repository.agent(scene);
  agent.workOnDemo();
  const { curl, ready } = await serve(scene, agent.dir);
  const agentCurl = new Curl(scene, ready.url, scene.path("state/agent-token"));
  scene.say(`serving ${agent.dir} at ${ready.url}`);
  expect(ready).toMatchObject({ agent_repo: agent.dir, checkout: null });

  const published = agentCurl.post("/suggestions", { description: "Fahrenheit and median" });
  expect(published.status).toBe(201);
  const id: string = published.body.suggestion_id;
  const hunks = curl.hunks(id);
  scene.say(`published ${hunks.length} hunks`);
  expect(hunks.length).toBeGreaterThanOrEqual(5);
  expect(agent.jj("log", "--no-graph", "-r", "@", "-T", "empty")).toBe("true");

  const heading = hunks.find(({ diff }) => diff.includes('"median"];'));
  const created = hunks.find(({ file }) => file === "src/units.ts");
  const rejected = hunks.find(({ file }) => file === "tests/units.test.ts");
  if (heading === undefined || created === undefined || rejected === undefined)
    throw new Error("hunks missing");
  const request = { suggestion_id: id, hunk_id: created.id, action: "accept" };
  expect(agentCurl.post("/feedback", request)).toMatchObject({
    status: 403,
    body: { error: { code: "forbidden" } },
  });
  curl.decide(created, "accept");
  curl.decide(rejected, "reject", { comment: "test the units where they are used" });
  const modified = heading.diff.replace('"median"];', '"middle"];');
  curl.decide(heading, "modify", { modified_diff: modified });

  // The agent's own call is its quiet moment: it is told, and its working copy follows.
  expect(agent.git("ls-files", "tests")).toContain("units.test.ts");
  const status = agentCurl.post("/status", { message: "Looking at the feedback", status: "working" });
  expect(status.status).toBe(200);
  const told: string = status.body.feedback.join("\n");
  scene.say("the agent's next call carried the feedback");
  expect(told).toContain("test the units where they are used");
  expect(told).toContain("tests/units.test.ts");
  expect(told).toContain('"middle"];');
  expect(agentCurl.post("/status", { message: "Again" }).body.feedback).toEqual([]);

  const settled = agentCurl.post("/settle", {});
  expect(settled.body).toMatchObject({ settled: true });
  expect(() => agent.read("tests/units.test.ts")).toThrow();
  expect(agent.read("src/report.ts")).toContain('"middle"];');
  expect(agent.read("src/units.ts")).toContain("export function inUnit");
  scene.say("settled: the rejected file is gone from the agent's working copy");

  const result = curl.finalize(id);
  const hub = fetchHub(scene, ready.remote, curl.token);
  expect(hub.git("rev-parse", `refs/heads/${result.ref}`)).toBe(result.commit);
  expect(hub.git("rev-parse", `${result.commit}^`)).toBe(hub.git("rev-parse", "refs/heads/main"));
  const expected = treeOf(scene, hub.dir, result.base_commit, [created, { ...heading, diff: modified }]);
  expect(hub.git("rev-parse", `${result.commit}^{tree}`)).toBe(expected);
  expect(curl.suggestion(id)).toMatchObject({ state: "finalized", result: { commit: result.commit } });
  expect(curl.list()).toEqual([]);
  expect(agentCurl.post("/settle", {}).body).toMatchObject({ settled: true });
  expect(agent.jj("log", "--no-graph", "-r", "conflicts() | divergent()", "-T", "commit_id")).toBe("");
  scene.say(`finalized as ${result.ref}; its tree is base + accepted + modified`);
}, 90_000);

/** `npm run serve` in a scene of its own, with the process that does the work and the one between. */
async function underNpm(place: Scene): Promise<{ npm: Running; node: number; server: number; url: string }> {
  const agent = Repository.agent(place);
  const argv = ["npm", "run", "--silent", "--prefix", ROOT, "serve", "--"];
  const args = ["--project", agent.dir, "--port", "0", "--state", place.path("state"), "--json"];
  // The user's own HOME: npm is to find the tools and packages that are set up already.
  const env = { ...place.env, HOME: process.env.HOME ?? place.env.HOME ?? "" };
  const npm = Running.start(place, "npm", [...argv, ...args], { env });
  const { url } = await npm.readyLine<ReadyLine>(60_000);
  const below = descendants(npm.pid);
  const named = (part: string): number => {
    const found = processList().filter(({ pid, command }) => below.includes(pid) && command.includes(part));
    const [only] = found.filter(({ command }) => !command.startsWith("sh "));
    if (only === undefined) throw new Error(`${part} does not run below npm`);
    return only.pid;
  };
  return { npm, node: named("scripts/serve.mjs"), server: named("plugin/src/serve.ts"), url };
}

for (const victim of ["npm", "node"] as const) {
  test(`kill -9 of ${victim} alone ends the server of npm run serve, in good order`, async () => {
    const place = new Scene(`serve-kill-${victim}`);
    closing.push(place);
    const { npm, node, server, url } = await underNpm(place);
    place.atEnd(() => {
      for (const pid of [node, server]) if (runs(pid)) process.kill(pid, "SIGKILL");
    });
    expect((await fetch(`${url}/health`)).status).toBe(200);
    process.kill(victim === "npm" ? npm.pid : node, "SIGKILL");
    await until("the server is gone", () => !runs(server) && !runs(node));
    expect(await fetch(`${url}/health`).catch(() => "refused")).toBe("refused");
    // An orderly end, not a crash: clients were told and the ledger was closed.
    expect(npm.err).toContain('"message":"stopped"');
  }, 90_000);
}

const runs = (pid: number): boolean => processList().some((entry) => entry.pid === pid);
