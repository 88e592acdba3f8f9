/** The developer's commits reach the agent's working copy: by a push to the hub, and by a start after one. */
import { afterAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Host } from "../support/opencode.ts";
import { must } from "../support/processes.ts";
import { Repository } from "../support/repository.ts";
import { Scene, until } from "../support/scene.ts";

const scene = new Scene("follow");
afterAll(() => scene.close());

test("D1: a push to the hub, and a start after the hub went on, move a clean working copy inside opencode", async () => {
  const agent = Repository.agent(scene);
  const developer = agent.cloned("developer");
  let host = await Host.start(scene, agent.dir);
  const hubs = () => scene.path("state/git");
  const [name = ""] = [...new Bun.Glob("*.git").scanSync({ cwd: hubs(), onlyFiles: false })];
  const push = (to: string, env: Record<string, string> = {}) =>
    must(["git", "push", "--quiet", to, "HEAD:refs/heads/main"], {
      cwd: developer.dir,
      env: { ...scene.env, ...env },
    });
  const commit = (file: string): string => {
    developer.write(file, `${file}\n`);
    developer.git("add", "--all");
    developer.git("commit", "--quiet", "--message", file);
    return developer.git("rev-parse", "HEAD");
  };
  const standsOn = () => agent.jj("log", "--no-graph", "-r", "@-", "-T", "commit_id").trim();

  const first = commit("first.txt");
  push(`${host.curl.url}/git/${name}`, {
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "http.extraHeader",
    GIT_CONFIG_VALUE_0: `Authorization: Bearer ${host.curl.token}`,
  });
  await until("the push reaches the agent's files", () => existsSync(join(agent.dir, "first.txt")), 20_000);
  await until("the working copy stands on it", () => standsOn() === first, 20_000);

  await host.running.stop();
  const second = commit("second.txt");
  push(join(hubs(), name));
  host = await Host.start(scene, agent.dir, { model: host.model });
  await until("the start brings the second one", () => existsSync(join(agent.dir, "second.txt")), 20_000);
  await until("the working copy stands on it", () => standsOn() === second, 20_000);
  expect(agent.read("first.txt")).toBe("first.txt\n");
}, 120_000);
