/** The review in Neovim in a real terminal, by keys alone; what it did is asked of the server and of git. */
import { afterAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fetchHub, treeOf } from "../support/expected-tree.ts";
import { Repository } from "../support/repository.ts";
import { Scene, until } from "../support/scene.ts";
import { serve } from "../support/server.ts";
import { Terminal } from "../support/terminal.ts";

const scene = new Scene("nvim");
afterAll(() => scene.close());

test("accept, reject, modify, finalize and adopt by keys; accepted hunks are in the files at once", async () => {
  const agent = Repository.agent(scene);
  const developer = agent.cloned("checkout");
  agent.workOnDemo();
  const { curl, ready, port } = await serve(scene, agent.dir);
  const id: string = curl.post("/suggestions", { description: "Fahrenheit and median" }).body.suggestion_id;
  const before = curl.hunks(id);
  const terminal = Terminal.neovim(scene, {
    checkout: developer.dir,
    file: "src/report.ts",
    port,
    tokenFile: ready.token_file,
  });
  const opened = await terminal.openReview();
  scene.say("the review is open");
  expect(opened).toContain("Fahrenheit and median");
  expect(opened).toContain("src/report.ts");
  expect(opened).toContain('- import { fixed } from "./fixed-width.ts";');
  expect(opened).toContain("a accept");
  expect(opened).toContain("r reject");

  const inReport = before.filter(({ file }) => file === "src/report.ts");
  const [accepted, rejected, modified] = inReport;
  if (accepted === undefined || rejected === undefined || modified === undefined)
    throw new Error("hunks missing");
  const stateOf = (hunk: { id: string }) => curl.hunks(id).find((one) => one.id === hunk.id)?.state;

  terminal.keys("a");
  await until("the accepted hunk is in the developer's file", () => {
    return !developer.read("src/report.ts").includes("./fixed-width.ts");
  });
  expect(stateOf(accepted)).toBe("accepted");
  scene.say("a: accepted, and the developer's file has it");

  await terminal.shows(/1\/\d+ decided/);
  terminal.keys("r");
  await terminal.shows(/Reject because/);
  terminal.type("import it where it is used");
  terminal.keys("Enter");
  await until("rejected", () => stateOf(rejected) === "rejected");
  expect(curl.hunks(id).find((hunk) => hunk.id === rejected.id)?.decision?.comment).toBe(
    "import it where it is used",
  );
  expect(await terminal.shows(/» import it where it is used/)).toContain("2/19 decided");
  expect(developer.read("src/report.ts")).not.toContain("./units.ts");
  scene.say("r: rejected with its reason");

  terminal.keys("m");
  await terminal.shows(/Edit src\/report\.ts/);
  terminal.keys(":");
  terminal.type('%s/"median"/"middle"/');
  terminal.keys("Enter");
  terminal.keys(":", "w", "Enter");
  await until("modified", () => stateOf(modified) === "modified");
  await until("the modified hunk is in the developer's file", () => {
    return developer.read("src/report.ts").includes('"mean", "middle"];');
  });
  const screen = await terminal.shows(/3\/19 decided/);
  expect(screen).toContain("src/report.ts");
  scene.say("m, an edit and :w: modified, and the developer's file has it");
  process.stderr.write(`${screen.trimEnd().replace(/^/gm, "    ")}\n`);

  terminal.keys("Enter");
  await terminal.shows(/\[F\]inalize/);
  terminal.keys("f");
  const plan = await terminal.shows(/Adopt this commit\?[\s\S]*<CR> do it/);
  expect(plan).toContain("exactly what was decided here");
  expect(plan).toContain("src/report.ts");
  const { result } = curl.suggestion(id);
  if (result === null) throw new Error("not finalized");
  const edited = curl.hunks(id).find((hunk) => hunk.id === modified.id)?.decision?.modified_diff ?? "";
  expect(edited).toContain('"middle"];');
  const hub = fetchHub(scene, ready.remote, curl.token);
  const expected = treeOf(scene, hub.dir, result.base_commit, [accepted, { ...modified, diff: edited }]);
  expect(hub.git("rev-parse", `${result.ref}^{tree}`)).toBe(expected);
  scene.say(`<CR>: finalized as ${result.ref}, verified by the client`);

  terminal.keys("Enter");
  await until(
    "the checkout is on the finalized commit",
    () => developer.git("rev-parse", "HEAD") === result.commit,
  );
  expect(developer.git("status", "--porcelain")).toBe("");
  expect(developer.git("symbolic-ref", "--short", "HEAD")).toBe("main");
  expect(existsSync(join(developer.dir, "src/fixed-width.ts"))).toBe(true);
  expect(developer.git("rev-parse", "HEAD^{tree}")).toBe(expected);
  scene.say("adopted: the checkout's main is the finalized commit, nothing else changed");
}, 90_000);
