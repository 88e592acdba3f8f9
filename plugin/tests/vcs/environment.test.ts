/** One door for git and jj: whatever variables the server was started with, they see the repository they are given. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
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
