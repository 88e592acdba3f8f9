/**
 * Names of branches and tags that could be taken for one another, between the developer's repository, the hub and the
 * agent's: real repositories, without opencode.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeRemote, setRemote } from "../../scripts/start/checkout.ts";
import { cloneForAgent } from "../../scripts/start/clone.ts";
import { sameUser } from "../../scripts/start/identity.ts";
import { type AgentPlace, agentPlace, developerPlace, hubDir } from "../../scripts/start/places.ts";
import { inspectRepository } from "../../scripts/start/repository.ts";
import { sendHistory } from "../../scripts/start/send-history.ts";
import { must, run } from "../support/processes.ts";
import { Scene } from "../support/scene.ts";

const scene = new Scene("refs");
const who = sameUser();
afterAll(() => scene.close());

interface Developer {
  dir: string;
  git: (...args: string[]) => string;
  agent: AgentPlace;
  start: () => Promise<void>;
}

/** A repository of the developer's with one commit, and the places that `npm start` would use. */
function developer(name: string): Developer {
  const dir = scene.folder(`${name}/checkout`);
  const git = (...args: string[]) => must(["git", "-C", dir, ...args], { env: scene.env }).trim();
  git("init", "--quiet", "--initial-branch=main");
  writeFileSync(join(dir, "a.txt"), "one\n");
  git("add", "--all");
  git("commit", "--quiet", "--message", "base");
  const place = developerPlace(scene.folder(`${name}/place`), dir);
  const agent = agentPlace(place, false);
  for (const folder of [agent.home, agent.state, agent.config, join(agent.state, "git")])
    mkdirSync(folder, { recursive: true });
  /** What a start does with history, in its order. */
  const start = async () => {
    const repository = await inspectRepository(dir, who);
    await sendHistory(repository, who, who, agent);
    await cloneForAgent(agent, who, repository.branch);
  };
  return { dir, git, agent, start };
}

const inHub = (agent: AgentPlace, ...args: string[]) =>
  must(["git", `--git-dir=${hubDir(agent)}`, ...args], { env: scene.env }).trim();
const inAgent = (agent: AgentPlace, ...args: string[]) =>
  must(["jj", "--no-pager", "--color=never", ...args], { env: scene.env, cwd: agent.repo }).trim();

describe("B4: a start", () => {
  const CASES: [string, string, (git: Developer["git"]) => void][] = [
    ["with a tag of the branch's name", "main", (git) => git("tag", "main", "HEAD")],
    [
      "with a tag of that name on another commit",
      "main",
      (git) => {
        git("commit", "--quiet", "--allow-empty", "--message", "second");
        git("tag", "main", "HEAD~1");
      },
    ],
    [
      "on a branch heads/main beside main",
      "heads/main",
      (git) => git("checkout", "--quiet", "-b", "heads/main"),
    ],
    [
      "on a branch whose name begins with a dash",
      "-x",
      (git) => {
        git("update-ref", "refs/heads/-x", "HEAD");
        git("symbolic-ref", "HEAD", "refs/heads/-x");
      },
    ],
  ];
  for (const [index, [name, branch, prepare]] of CASES.entries()) {
    test(`B4: ${name} brings that very branch to the agent`, async () => {
      const { dir, git, agent, start } = developer(`start-${index}`);
      prepare(git);
      const head = git("rev-parse", "HEAD");
      expect((await inspectRepository(dir, who)).branch).toBe(branch);
      await start();
      expect(inHub(agent, "for-each-ref", "--format=%(refname) %(objectname)")).toBe(
        `refs/heads/${branch} ${head}`,
      );
      expect(inAgent(agent, "log", "--no-graph", "-r", "@-", "-T", "commit_id")).toBe(head);
      const tracked = inAgent(
        agent,
        ...["bookmark", "list", "--all-remotes", `exact:${JSON.stringify(branch)}`],
        ...["-T", 'if(remote == "origin", if(tracked, "tracked"))'],
      );
      expect(tracked).toBe("tracked");
      git("commit", "--quiet", "--allow-empty", "--message", "later");
      await start();
      expect(inHub(agent, "rev-parse", `refs/heads/${branch}`)).toBe(git("rev-parse", "HEAD"));
    }, 60_000);
  }
});

describe("B4: the remote that a start adds", () => {
  async function withRemote(name: string): Promise<Developer & { url: string }> {
    const made = developer(name);
    await made.start();
    const url = `http://127.0.0.1:1/git/${name}.git`;
    const place = developerPlace(scene.path(`${name}/place`), made.dir);
    await setRemote({ gitDir: join(made.dir, ".git") }, who, place, url);
    // The hub by its path, so that no server is needed.
    made.git("config", `url.${hubDir(made.agent)}.insteadOf`, url);
    return { ...made, url };
  }

  test("B4: brings no tag, whatever the agent names one", async () => {
    const { git, agent } = await withRemote("tags");
    const head = git("rev-parse", "HEAD");
    const foreign = inHub(
      agent,
      ...["-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", "-p", head, "-m", "EVIL"],
      `${head}^{tree}`,
    );
    for (const ref of ["refs/tags/main", "refs/tags/v1", "refs/heads/side"])
      inHub(agent, "update-ref", ref, foreign);
    git("fetch", "--quiet", "agent");
    expect(git("rev-parse", "refs/remotes/agent/side")).toBe(foreign);
    expect(git("tag")).toBe("");
    expect(git("rev-parse", "main")).toBe(head);
  }, 60_000);

  test("B4: takes no object that git's own check refuses", async () => {
    const { git, agent, dir } = await withRemote("objects");
    const raw = `tree ${git("rev-parse", "HEAD^{tree}")}\nauthor no mail 1 +0000\ncommitter c <c> 1 +0000\n\nEVIL\n`;
    const object = Bun.spawnSync(
      ["git", `--git-dir=${hubDir(agent)}`, "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
      { stdin: Buffer.from(raw), env: scene.env },
    );
    inHub(agent, "update-ref", "refs/heads/bad", object.stdout.toString().trim());
    const fetched = run(["git", "-C", dir, "fetch", "--quiet", "agent"], { env: scene.env });
    expect(fetched.code).not.toBe(0);
    expect(fetched.err).toMatch(/missingEmail|fsck/);
  }, 60_000);

  test("B4: leaves the developer's own setting, and takes back its own", async () => {
    const { git, dir } = await withRemote("settings");
    expect(git("config", "fetch.fsckObjects")).toBe("true");
    await removeRemote(join(dir, ".git"), who, developerPlace(scene.path("settings/place"), dir), "settings");
    expect(run(["git", "-C", dir, "config", "--get-regexp", "fsck|isolated"], { env: scene.env }).out).toBe(
      "",
    );

    const own = developer("own");
    own.git("config", "transfer.fsckObjects", "false");
    const place = developerPlace(scene.path("own/place"), own.dir);
    await setRemote({ gitDir: join(own.dir, ".git") }, who, place, "http://127.0.0.1:1/git/own.git");
    expect(run(["git", "-C", own.dir, "config", "fetch.fsckObjects"], { env: scene.env }).out).toBe("");
    await removeRemote(join(own.dir, ".git"), who, place, "own");
    expect(own.git("config", "transfer.fsckObjects")).toBe("false");
  }, 60_000);
});
