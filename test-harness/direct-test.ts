/**
 * Tries the pieces of the engine without a server: the desk in this process on a jj repository of its own.
 *
 *   bun test-harness/direct-test.ts [--keep]
 *
 * Publishes the demo's edits, decides, undoes, composes, finalizes, and checks trees by git. --keep leaves the folder.
 */
import { parseArgs } from "node:util";
import { loadConfig } from "../plugin/src/config.ts";
import { Desk } from "../plugin/src/review/desk.ts";
import { Checks, equal } from "./support/checks.ts";
import { treeOf } from "./support/expected-tree.ts";
import { must } from "./support/processes.ts";
import { Repository } from "./support/repository.ts";
import { Scene } from "./support/scene.ts";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      keep: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return void process.stdout.write("usage: bun test-harness/direct-test.ts [--keep]\n");
  const scene = new Scene("direct");
  Object.assign(process.env, scene.env);
  const agent = Repository.agent(scene);
  agent.workOnDemo();
  const state = scene.path("state");
  const config = loadConfig(
    { port: 0, state_dir: state, feedback_log: `${state}/feedback.jsonl` },
    scene.env,
  );
  const desk = new Desk(config);
  const checks = new Checks();
  const project = await desk.addProject(agent.dir);
  const hub = scene.path(`state/git/${project.hubName}.git`);
  const treeOfCommit = (commit: string) =>
    must(["git", "--git-dir", hub, "rev-parse", `${commit}^{tree}`]).trim();
  let id = "";
  const hunks = () => desk.hunks(id, { limit: 1000, offset: 0 }).hunks;
  const hunkOf = (file: string) => {
    const found = hunks().find((hunk) => hunk.file === file);
    if (found === undefined) throw new Error(`no hunk of ${file}`);
    return found;
  };

  await checks.check("publish pins the change and finds its hunks", async () => {
    const published = await desk.publish({ description: "Fahrenheit" }, "agent");
    id = published.suggestion_id;
    equal(published.hunk_count, hunks().length, "hunks");
    equal(new Set(hunks().map(({ kind }) => kind)).has("delete"), true, "a deletion");
  });
  await checks.check("all hunks put on the base by git are the published tree", () => {
    const { base_commit, commit } = desk.get(id);
    equal(treeOf(scene, hub, base_commit, hunks()), treeOfCommit(commit), "tree");
  });
  await checks.check("a decision is in the journal", () => {
    const { id: hunk_id } = hunkOf("src/units.ts");
    const since = desk.events({ since: 0, limit: 1 }).last_seq;
    desk.decide({ suggestion_id: id, hunk_id, action: "accept" }, "developer");
    equal(desk.events({ since, limit: 1 }).events[0]?.type, "suggestion.hunk_applied", "event");
  });
  await checks.check("decide and undo leave what was there", async () => {
    const before = Buffer.from(await desk.patch(id, { part: "accepted" })).toString();
    const { id: hunk_id } = hunkOf("src/cli.ts");
    desk.decide({ suggestion_id: id, hunk_id, action: "accept" }, "developer");
    desk.undo({ suggestion_id: id, hunk_id }, "developer");
    equal(Buffer.from(await desk.patch(id, { part: "accepted" })).toString(), before, "accepted patch");
  });
  await checks.check("the agent may not decide", () => {
    const { id: hunk_id } = hunkOf("README.md");
    try {
      desk.decide({ suggestion_id: id, hunk_id, action: "accept" }, "agent");
    } catch {
      return true;
    }
    return false;
  });
  await checks.check("finalize commits base + accepted, nothing else", async () => {
    const accepted = hunks().filter(({ state }) => state === "accepted");
    const done = await desk.complete({ suggestion_id: id, action: "finalize" }, "developer");
    equal(treeOfCommit(done.commit ?? ""), treeOf(scene, hub, done.base_commit ?? "", accepted), "tree");
  });
  desk.close();
  if (values.keep) process.stdout.write(`kept: ${scene.dir}\n`);
  else await scene.close();
  checks.end();
}

main().catch((error: unknown) => {
  process.stderr.write(`direct-test: ${error instanceof Error ? error.stack : error}\n`);
  process.exit(1);
});
