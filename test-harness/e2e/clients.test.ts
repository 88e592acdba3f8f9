/** The harness's own clients, run as a person runs them: each against a live server, or on the engine itself. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Done, run } from "../support/processes.ts";
import { Repository } from "../support/repository.ts";
import { ROOT, Scene } from "../support/scene.ts";
import { type Served, serve } from "../support/server.ts";

const scene = new Scene("clients");
/** For the clients that undo what they decide, and those that are refused. */
let served: Served;

/** A server over an agent's repository, with one suggestion. */
async function published(name: string): Promise<{ served: Served; id: string }> {
  const agent = Repository.agent(scene, name);
  agent.workOnDemo();
  const served = await serve(scene, agent.dir, 0, scene.path(`${name}-state`));
  const { suggestion_id: id } = served.curl.post("/suggestions", { description: "Fahrenheit" }).body;
  return { served, id };
}

function client(name: string, args: string[], input = ""): Done {
  const done = run(["bun", join(ROOT, "test-harness", `${name}.ts`), ...args], {
    env: scene.env,
    input,
    cwd: scene.dir,
  });
  scene.say(`${name}: ended with ${done.code}; ${done.out.trim().split("\n").at(-1)?.slice(0, 120)}`);
  return done;
}
const at = ({ ready } = served): string[] => ["--url", ready.url, "--token-file", ready.token_file];

beforeAll(async () => {
  ({ served } = await published("shared"));
}, 30_000);
afterAll(() => scene.close());

test("each says how it is used", () => {
  for (const name of ["ws-test", "http-test", "live-test", "direct-test"]) {
    const done = client(name, ["--help"]);
    expect(done.out).toStartWith("usage: ");
    expect(done.code).toBe(0);
  }
}, 30_000);

test("http-test passes every endpoint", () => {
  const done = client("http-test", [...at(), "--write"]);
  expect(done.out.match(/^FAIL.*/gm) ?? []).toEqual([]);
  expect(done.code).toBe(0);
}, 30_000);

test("live-test passes over both doors", () => {
  const done = client("live-test", at());
  expect(done.out.match(/^FAIL.*/gm) ?? []).toEqual([]);
  expect(done.code).toBe(0);
}, 30_000);

test("ws-test follows a script of JSON lines", async () => {
  const { served, id } = await published("finalized");
  const [first, second] = served.curl.hunks(id).filter(({ state }) => state === "pending");
  const lines = [
    { type: "list", id: "l" },
    { type: "get", id: "g", suggestionId: id },
    {
      type: "feedback",
      id: "a",
      suggestionId: id,
      hunkId: first?.id,
      action: "accept",
      digest: first?.digest,
    },
    { type: "feedback", id: "r", suggestionId: id, hunkId: second?.id, action: "reject", comment: "no" },
    { type: "subscribe", id: "s", since: 0 },
    { wait: "suggestion.hunk_applied" },
    { type: "complete", id: "c", suggestionId: id, action: "finalize" },
    { wait: "suggestion.completed" },
  ];
  const done = client(
    "ws-test",
    [...at(served), "--script"],
    lines.map((line) => JSON.stringify(line)).join("\n"),
  );
  expect(done.code).toBe(0);
  const messages = done.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string; id?: string; success?: boolean; seq?: number });
  const answers = messages.filter(({ type }) => type === "response");
  expect(answers.map(({ id: answered, success }) => [answered, success])).toEqual(
    ["l", "g", "a", "r", "s", "c"].map((name) => [name, true]),
  );
  expect(messages.find(({ seq }) => seq === 1)).toBeDefined();
  expect(served.curl.suggestion(id).state).toBe("finalized");
}, 30_000);

test("ws-test says so when the token is wrong", () => {
  const wrong = scene.write("wrong-token", "smd_wrong\n");
  const done = client("ws-test", ["--url", served.ready.url, "--token-file", wrong, "--script"]);
  expect(done.err).toContain("401");
  expect(done.code).toBe(1);
}, 30_000);

test("direct-test passes without a server", () => {
  const done = client("direct-test", []);
  expect(done.out.match(/^FAIL.*/gm) ?? []).toEqual([]);
  expect(done.code).toBe(0);
}, 60_000);
