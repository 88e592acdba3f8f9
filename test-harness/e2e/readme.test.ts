/** The shell lines of the README are run as they stand there. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../scripts/start/ports.ts";
import { must, Running } from "../support/processes.ts";
import { Repository } from "../support/repository.ts";
import { ROOT, Scene } from "../support/scene.ts";

const scene = new Scene("readme");
afterAll(() => scene.close());

test("the README's lines for scripting the server work", async () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const block = /<!-- test:serve -->\s*```sh\n([\s\S]*?)```/.exec(readme)?.[1];
  if (block === undefined) throw new Error("README.md has no block marked test:serve");
  const agent = Repository.agent(scene);
  agent.workOnDemo();
  const port = await freePort();
  const lines = block.replaceAll("4097", String(port)).replace(/--port \d+/, `--port ${port}`);
  const script = scene.write("readme.sh", `set -eu\n${lines}\n`);
  const running = Running.start(scene, "readme", ["bash", script], {
    cwd: ROOT,
    env: { ...scene.env, PROJECT: agent.dir, STATE: scene.path("state") },
  });
  scene.say(`running the block's ${lines.trim().split("\n").length} lines on port ${port}`);
  const code = await running.ended;
  const { out, err } = running;
  scene.say(`ended with ${code}`);
  if (code !== 0) throw new Error(`${err}\n${out.slice(-3000)}`);

  expect(out).toContain('"healthy":true');
  expect(out).toContain("+++ b/src/units.ts");
  expect(out).toMatch(/\d+ suggestion\.completed/);
  const hubs = scene.path("state/git");
  const [hub = ""] = must(["ls", hubs]).split("\n");
  const refs = must(
    ["git", "--git-dir", join(hubs, hub), "for-each-ref", "--format=%(refname)", "refs/heads"],
    {
      env: scene.env,
    },
  );
  expect(refs).toMatch(/^refs\/heads\/suggestions\/try-the-review-[0-9a-f]{8}$/m);
  // Everything was accepted: the commit is the published work.
  const bookmark = refs.split("\n").find((ref) => ref.includes("suggestions/"));
  const files = must(["git", "--git-dir", join(hubs, hub), "ls-tree", "-r", "--name-only", bookmark ?? ""], {
    env: scene.env,
  });
  expect(files).toContain("src/units.ts");
  expect(files).not.toContain("src/fixed-width.ts");
  scene.say("the hub holds the bookmark");
}, 90_000);
