/** One door for git and jj: whatever variables the server was started with, they see the repository they are given. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { forgetForeignRepositories, programEnvironment } from "../../src/vcs/environment.ts";
import { Git } from "../../src/vcs/git.ts";
import { Repo, repoWith } from "../support/repo.ts";
import { Served } from "../support/served.ts";

setDefaultTimeout(90_000);

/** Each of these alone makes some git command look elsewhere. */
const FOREIGN = {
  GIT_DIR: "/nonexistent/repository",
  GIT_WORK_TREE: "/nonexistent/tree",
  GIT_INDEX_FILE: "/nonexistent/index",
  GIT_OBJECT_DIRECTORY: "/nonexistent/objects",
  GIT_COMMON_DIR: "/nonexistent/common",
  GIT_NAMESPACE: "other",
  GIT_CONFIG_COUNT: "1",
  GIT_CONFIG_KEY_0: "core.bare",
  GIT_CONFIG_VALUE_0: "nonsense",
  GIT_CONFIG_PARAMETERS: "'core.bare'='nonsense'",
  GIT_EXTERNAL_DIFF: "false",
  GIT_REPLACE_REF_BASE: "refs/other/",
  GIT_LITERAL_PATHSPECS: "1",
};

describe("the environment of git and jj", () => {
  test("B7: names no repository but the given one, and keeps who commits and where settings are", () => {
    const kept = {
      PATH: "/bin",
      HOME: "/home/x",
      GIT_AUTHOR_NAME: "A",
      GIT_SSH_COMMAND: "ssh -v",
      GIT_CONFIG_GLOBAL: "/c",
      GIT_EXEC_PATH: "/e",
    };
    expect(programEnvironment({}, { ...kept, ...FOREIGN })).toEqual(kept);
    expect(programEnvironment({ GIT_DIR: "/mine", HOME: undefined }, { ...kept, ...FOREIGN })).toEqual({
      PATH: "/bin",
      GIT_AUTHOR_NAME: "A",
      GIT_SSH_COMMAND: "ssh -v",
      GIT_CONFIG_GLOBAL: "/c",
      GIT_EXEC_PATH: "/e",
      GIT_DIR: "/mine",
    });
    const own: NodeJS.ProcessEnv = { ...kept, ...FOREIGN };
    forgetForeignRepositories(own);
    expect(own).toEqual(kept);
  });

  test("B7: a server started with GIT_DIR and the like publishes, decides, serves content and finalizes", async () => {
    const repo = await repoWith({ "a.txt": "one\n" });
    const foreign = Object.assign(Object.create(Repo.prototype) as Repo, repo, {
      env: { ...repo.env, ...FOREIGN },
    });
    const served = await Served.start(foreign);
    try {
      repo.file("a.txt", "one\ntwo\nthree\n");
      const published = await served.post("/suggestions", { description: "Number" });
      expect(published).toMatchObject({ status: 201 });
      const id = published.body.suggestion_id as string;
      const [hunk] = await served.hunks(id);
      const content = await served.get(`/suggestions/${id}/content?file=a.txt&side=proposed`);
      expect(Buffer.from(content.body.base64, "base64").toString()).toBe("one\ntwo\nthree\n");
      const modified = hunk.diff.replace("+three\n", "+3\n");
      expect(
        (
          await served.post("/feedback", {
            suggestion_id: id,
            hunk_id: hunk.id,
            action: "modify",
            modified_diff: modified,
          })
        ).body,
      ).toMatchObject({ changed: 1 });
      const finalized = await served.post("/complete", { suggestion_id: id, action: "finalize" });
      expect(finalized.body).toMatchObject({ success: true, action: "finalized" });
    } finally {
      await served.kill();
    }
  });

  test("B7: no other file of the server or the launcher starts git or jj", () => {
    const root = join(import.meta.dir, "../../..");
    const sources = ["plugin/src", "scripts/start", "sandbox"].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => `${folder}/${name}`),
    );
    expect(sources.length).toBeGreaterThan(60);
    const starting = sources.filter((path) =>
      /Bun\.spawn|Bun\.\$|child_process|from "execa"/.test(readFileSync(join(root, path), "utf8")),
    );
    expect(starting.sort()).toEqual([
      // The check that the developer configured, through a shell, in the same environment.
      "plugin/src/review/finish/check-command.ts",
      // `ps`, where the system has no /proc.
      "plugin/src/review/tell/owner.ts",
      "plugin/src/vcs/run.ts",
      // Ours, which answers for refused system calls; and opencode, with the environment that the launcher gave it.
      "sandbox/notify/told.ts",
      // Of the launcher, which clears its own environment first: Neovim, `chown`, programs as another user.
      "sandbox/user.ts",
      "scripts/start/checkout.ts",
      "scripts/start/confined.ts",
      "scripts/start/identity.ts",
      "scripts/start/neovim.ts",
      // The way to the network, a program of ours with an environment made from nothing.
      "scripts/start/network.ts",
      "scripts/start/processes.ts",
    ]);
    for (const entry of ["main.ts", "teardown.ts", "sandbox.ts", "allow.ts"]) {
      expect(readFileSync(join(root, "scripts/start", entry), "utf8")).toMatch(
        /^forgetForeignRepositories\(\);$/m,
      );
    }
    expect(readFileSync(join(root, "plugin/src/review/finish/check-command.ts"), "utf8")).toContain(
      "extendEnv: false",
    );
  });
});

test("a repository's own settings and hooks start no program", async () => {
  const repo = await repoWith({ "a.txt": "one\n" });
  const log = join(repo.dir, "../ran");
  const evil = join(repo.dir, "../evil.sh");
  writeFileSync(evil, `#!/bin/sh\necho "$0 $*" >> '${log}'\nexit 1\n`, { mode: 0o755 });
  mkdirSync(join(repo.dir, ".git/hooks"), { recursive: true });
  copyFileSync(evil, join(repo.dir, ".git/hooks/reference-transaction"));
  appendFileSync(join(repo.dir, ".git/config"), `[core]\n\tfsmonitor = ${evil}\n`);
  // Where jj kept them up to 0.37; a newer one takes them over.
  writeFileSync(
    join(repo.dir, ".jj/repo/config.toml"),
    `[signing]\nbehavior = "own"\nbackend = "gpg"\nkey = "x"\nbackends.gpg.program = ${JSON.stringify(evil)}\n[git]\nexecutable-path = ${JSON.stringify(evil)}\n`,
  );
  const served = await Served.start(repo);
  try {
    repo.file("a.txt", "two\n");
    const published = await served.post("/suggestions", { description: "Two" });
    expect(published.status).toBe(201);
    await new Git(join(repo.dir, ".git")).setRef(
      "refs/heads/other",
      (await repo.jj("log", "--no-graph", "-r", "@-", "-T", "commit_id")).trim(),
    );
    expect(existsSync(log) ? readFileSync(log, "utf8") : "").toBe("");
  } finally {
    await served.kill();
  }
});

const AUTHOR = {
  GIT_AUTHOR_NAME: "Someone",
  GIT_AUTHOR_EMAIL: "someone@example.org",
  GIT_COMMITTER_NAME: "Someone",
  GIT_COMMITTER_EMAIL: "someone@example.org",
};

test("a file that commands find read-only stays the same one: what is mounted over it would go with it", async () => {
  const repo = await repoWith({ "a.txt": "one\n", "b.txt": "one\n" });
  const guarded = [".git/config", ".jj/repo/store/git_target", ".jj/repo/store/type"];
  const inodes = () => guarded.map((name) => [name, statSync(join(repo.dir, name)).ino]);
  const before = inodes();
  const served = await Served.start(repo);
  const publish = async (text: string) => {
    await repo.jj("new", "main");
    repo.file("a.txt", text).file("b.txt", text);
    const { status, body } = await served.post("/suggestions", { description: text.trim() });
    expect(status).toBe(201);
    return body.suggestion_id as string;
  };
  const settle = async (one: string, action: string) => {
    const scope = { action: "accept", file: "a.txt" };
    expect((await served.post("/feedback/batch", { suggestion_id: one, scope })).status).toBe(200);
    const rest = { action: "reject", comment: "not now" };
    expect((await served.post("/feedback/batch", { suggestion_id: one, scope: rest })).status).toBe(200);
    const done = await served.post("/complete", { suggestion_id: one, action });
    expect(done.status).toBe(200);
    return done.body as { commit?: string };
  };
  try {
    await settle(await publish("two\n"), "finalize");
    await settle(await publish("three\n"), "discard");
    // A shared branch that goes on elsewhere: the agent's clone fetches it when the next one is finalized.
    const waiting = await publish("four\n");
    const hub = join(served.seenState, "git", readdirSync(join(served.seenState, "git"))[0] ?? "");
    const git = (...args: string[]) => {
      const done = Bun.spawnSync(["git", ...args], { cwd: hub, env: { ...repo.env, ...AUTHOR } });
      if (!done.success) throw new Error(`git ${args.join(" ")}: ${done.stderr}`);
      return done.stdout.toString().trim();
    };
    const elsewhere = git("commit-tree", "-m", "Elsewhere", "-p", "main", "main^{tree}");
    git("update-ref", "refs/heads/main", elsewhere);
    const { commit = "" } = await settle(waiting, "finalize");
    expect(git("merge-base", elsewhere, commit)).toBe(elsewhere);
    expect(inodes()).toEqual(before);
  } finally {
    await served.kill();
  }
});
