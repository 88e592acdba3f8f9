/**
 * The whole loop on real parts: opencode with the plugin, its agent driven by the scripted model, and a developer
 * who has nothing but curl.
 */
import { afterAll, expect, test } from "bun:test";
import { DEMO_PROMPT } from "../../demo/script.ts";
import { fetchHub, treeOf } from "../support/expected-tree.ts";
import { Host, wordsOf } from "../support/opencode.ts";
import { Repository } from "../support/repository.ts";
import { Scene, until } from "../support/scene.ts";

const scene = new Scene("loop");
afterAll(() => scene.close());

const COMMENT = "the units need no test file of their own";

test("ask, publish, decide with curl, finalize; the agent hears why", async () => {
  const agent = Repository.agent(scene);
  const host = await Host.start(scene, agent.dir);
  const { curl } = host;
  scene.say("opencode is up with the plugin");

  const session = await host.newSession();
  await host.prompt(session, DEMO_PROMPT);
  const [listed] = curl.list();
  if (listed === undefined) throw new Error("nothing was published");
  const { id } = listed;
  const events = curl.events();
  scene.say(
    `the agent edited, tested and published: ${listed.hunk_count} hunks in ${listed.files.length} files`,
  );
  expect(events.filter(({ type }) => type === "suggestion.ready").length).toBe(1);
  const tested = host.requestsAfter(0).map(wordsOf).join("\n");
  expect(tested).toMatch(/\b1 fail\b/);
  expect(tested).toMatch(/\b0 fail\b/);

  const suggestion = curl.suggestion(id);
  const hunks = curl.hunks(id);
  expect(hunks.length).toBeGreaterThanOrEqual(5);
  expect(new Set(hunks.map(({ file }) => file)).size).toBeGreaterThanOrEqual(3);
  expect(hunks.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["text", "create", "delete"]));
  expect(suggestion).toMatchObject({ status: "pending", hunk_count: hunks.length, reviewed_count: 0 });

  const accepted = hunks.find(({ file }) => file === "src/units.ts");
  const rejected = hunks.find(({ file }) => file === "tests/units.test.ts");
  const original = hunks.find(({ diff }) => diff.includes('"mean", "median"];'));
  if (accepted === undefined || rejected === undefined || original === undefined)
    throw new Error("no such hunk");
  expect(agent.read(rejected.file)).toContain("freezing point");
  const before = host.lastRequest;
  const modifiedDiff = original.diff.replace('"mean", "median"];', '"median", "mean"];');
  curl.decide(accepted, "accept");
  curl.decide(rejected, "reject", { comment: COMMENT });
  const last = curl.decide(original, "modify", { modified_diff: modifiedDiff });
  expect(last).toMatchObject({ reviewed_count: 3, remaining_hunks: hunks.length - 3 });
  expect(curl.suggestion(id).status).toBe("partial");
  scene.say("accepted one, rejected one with a comment, modified one");

  await until("the rejected file leaves the agent's working copy", () => {
    const files = agent.git("ls-files", "--others", "--cached", "--", rejected.file);
    return files === "" || !new Bun.Glob(rejected.file).scanSync(agent.dir).next().value;
  });
  expect(agent.read("src/report.ts")).toContain('"median", "mean"];');
  scene.say("the agent's working copy no longer has the rejected text");

  const result = curl.finalize(id);
  const remote = `${curl.url}/git/${suggestion.hub.replace(/^\/?(git\/)?/, "")}`;
  const hub = fetchHub(scene, remote, curl.token);
  expect(hub.git("for-each-ref", "--format=%(refname)", "refs/heads/suggestions")).toBe(
    `refs/heads/${result.ref}`,
  );
  expect(hub.git("rev-list", "--count", `refs/heads/main..${result.ref}`)).toBe("1");
  expect(hub.git("log", "-1", "--format=%s", result.ref)).toBe(
    "Report in Fahrenheit, with the median; refuse readings that are not numbers",
  );
  const expected = treeOf(scene, hub.dir, result.base_commit, [
    accepted,
    { ...original, diff: modifiedDiff },
  ]);
  expect(hub.git("rev-parse", `${result.ref}^{tree}`)).toBe(expected);
  scene.say(`the hub holds ${result.ref}: exactly base + accepted + modified`);

  // Decisions are told together once the developer pauses, so that a burst of them is one message.
  await until("the session is told", async () => (await host.messages(session)).includes(COMMENT));
  await host.prompt(session, "Thank you. What did I decide?");
  const next = host.requestsAfter(before);
  expect(next.length).toBeGreaterThan(0);
  const shown = wordsOf(next[0] ?? { messages: [] });
  expect(shown).toContain(COMMENT);
  expect(shown).toContain(rejected.file);
  expect(shown).toContain('"median", "mean"];');
  expect(shown.split(COMMENT).length - 1).toBe(1);
  scene.say("the model's next request has the comment, once");

  await until("the agent's repository follows the finalized commit", () => {
    return agent.jj("log", "--no-graph", "-r", "conflicts() | divergent()", "-T", "commit_id") === "";
  });
  const state = JSON.stringify(curl.suggestion(id).result);
  expect(state).toContain(result.commit);
}, 90_000);
