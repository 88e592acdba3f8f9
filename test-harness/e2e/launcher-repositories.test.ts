/** `npm start` on repositories as they are: jj ones, worktrees, those that cannot be handed over whole. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isRoot, Launcher } from "../support/launcher.ts";
import { descendants, must, processList, run } from "../support/processes.ts";
import { ROOT, until } from "../support/scene.ts";

const MINUTES = 180_000;
const launcher = new Launcher("repos");
afterAll(() => launcher.scene.close(), 120_000);

const hubOf = ({ agent_repo: repo }: { agent_repo: string }) => {
  const hubs = join(dirname(repo), "state/git");
  return join(hubs, readdirSync(hubs)[0] ?? "");
};
const optionsOf = ({ agent_repo: repo }: { agent_repo: string }) => {
  const file = join(dirname(repo), "config/opencode/opencode.json");
  return JSON.parse(readFileSync(file, "utf8")) as {
    plugin: [[string, Record<string, unknown>]];
    provider: { own: { options: { apiKey: string; baseURL: string } } };
  };
};

/** A program that never ends, as a signing program with a locked key does, and the file that tells it was run. */
function locked(): { program: string; wasRun: () => boolean } {
  const mark = launcher.scene.path("signing-ran");
  const program = launcher.scene.write("sign.sh", `#!/bin/sh\n: > '${mark}'\nexec sleep 1000\n`);
  chmodSync(program, 0o755);
  return { program, wasRun: () => existsSync(mark) };
}
const signing = (program: string) =>
  `[signing]\nbehavior = "own"\nbackend = "gpg"\nkey = "locked"\nbackends.gpg.program = "${program}"\n`;

// Without root the agent is the same user, and opencode would ask the network for packages at every start.
// Skipped for an ordinary user: only root can make the separate user that this is about.
describe.skipIf(!isRoot)("npm start", () => {
  test(
    "D5: takes a jj repository that is not colocated, and a bookmark that was never exported",
    async () => {
      const dir = launcher.scene.folder("apart");
      const jj = (...args: string[]) => must(["jj", ...args], { cwd: dir, env: launcher.scene.env });
      jj("git", "init", "--no-colocate", ".");
      launcher.scene.write("apart/a.txt", "one\n");
      jj("commit", "-m", "base");
      jj("bookmark", "create", "main", "-r", "@-");
      const started = await launcher.start([dir]);
      const commit = jj("log", "--no-graph", "-r", "main", "-T", "commit_id").trim();
      expect(
        must(["git", `--git-dir=${hubOf(started.ready)}`, "rev-parse", "refs/heads/main"], {
          env: launcher.scene.env,
        }).trim(),
      ).toBe(commit);
      expect(readFileSync(join(started.ready.agent_repo, "a.txt"), "utf8")).toBe("one\n");
      await launcher.stop(started);
    },
    MINUTES,
  );

  test(
    "D9: a rotation of the token stands",
    async () => {
      const dir = launcher.repository("rotated");
      const first = await launcher.start([dir]);
      const { token: old } = first.curl;
      const state = join(dirname(first.ready.agent_repo), "state");
      await launcher.stop(first);
      const rotate = (...more: string[]) =>
        must([
          ...["setpriv", "--reuid", launcher.user, "--regid", launcher.user, "--init-groups"],
          ...["env", `HOME=${dirname(state)}/home`, join(launcher.base, "tools/bin/bun")],
          ...[bundled, "--state", state, ...more],
        ]);
      const bundled = join(launcher.base, "lib/rotate.js");
      must([
        ...["bun", "build", join(ROOT, "plugin/src/server/tokens/rotate-token.ts")],
        ...["--target=bun", `--outfile=${bundled}`],
      ]);
      rotate();
      const second = await launcher.start([dir]);
      expect(second.running.err).toContain("the token was rotated");
      expect(second.curl.token).not.toBe(old);
      expect(second.curl.get("/suggestions").status).toBe(200);
      expect(second.curl.get("/suggestions", { token: old }).status).toBe(401);
      await launcher.stop(second);
      // To a token that only its maker knows.
      rotate("--sha256", "0".repeat(64));
      const done = launcher.refused([dir]);
      expect(done.code).toBe(1);
      expect(done.err).toMatch(/was replaced by a rotation: put the new token into that file/);
    },
    MINUTES,
  );

  test(
    "D9: a file that the provider's settings name is read, and the provider gets what is in it",
    async () => {
      const keys: (string | null)[] = [];
      const server = Bun.serve({
        hostname: "127.0.0.1",
        port: 0,
        fetch(request) {
          keys.push(request.headers.get("authorization"));
          return Response.json({});
        },
      });
      launcher.scene.atEnd(() => server.stop(true));
      const provider = {
        options: { baseURL: `http://127.0.0.1:${server.port}/v1`, apiKey: "{file:keys/own}" },
      };
      const own = { npm: "@ai-sdk/openai-compatible", ...provider, models: { "m-1": {} } };
      const dir = launcher.repository("secret");
      launcher.configure({ provider: { own } });
      const missing = launcher.refused([dir]);
      expect(missing.code).toBe(1);
      expect(missing.err).toMatch(/names \{file:keys\/own\}, and .*keys\/own cannot be read/);
      launcher.scene.write("config/opencode/keys/own", ' a "quoted" key\n');
      const started = await launcher.start([dir]);
      // opencode itself has a placeholder: the key is put in outside.
      const { apiKey, baseURL } = optionsOf(started.ready).provider.own.options;
      expect(apiKey).not.toContain("quoted");
      // The gateway's address is one of opencode's own loopback: from outside it is a socket.
      const unix = join(dirname(started.ready.agent_repo), "network/gateway.sock");
      await fetch(`${baseURL}/models`, { unix, headers: { authorization: `Bearer ${apiKey}` } });
      expect(keys).toEqual(['Bearer a "quoted" key']);
      await launcher.stop(started);
      launcher.configure({});
    },
    MINUTES,
  );

  describe("D9: what cannot be handed over is said in a sentence", () => {
    const source = launcher.repository("source");
    launcher.scene.write("source/a.txt", "two\n");
    launcher.commit(source, "second");
    const refused = (dir: string, says: RegExp) => {
      const done = launcher.refused([dir]);
      expect(done.code).toBe(1);
      const said = done.err.split("\n").filter((line) => line.startsWith("start: "));
      expect(said.at(-1)).toMatch(says);
    };

    test(
      "D9: a shallow clone",
      () => {
        const dir = launcher.scene.path("shallow");
        launcher.git(source, "clone", "--quiet", "--depth=1", `file://${source}`, dir);
        refused(dir, /is a shallow clone.*git fetch --unshallow/);
      },
      MINUTES,
    );

    test(
      "D9: SHA-256 names",
      () => {
        const dir = launcher.scene.folder("sha256");
        launcher.git(dir, "init", "--quiet", "--object-format=sha256");
        launcher.scene.write("sha256/a", "a");
        launcher.commit(dir, "base");
        refused(dir, /names its objects by SHA256, which jj cannot read/);
      },
      MINUTES,
    );

    test(
      "D9: submodules and LFS are told, and what is there is handed over",
      async () => {
        const dir = launcher.repository("parts", {
          "a.txt": "one\n",
          ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        });
        launcher.git(
          dir,
          "-c",
          "protocol.file.allow=always",
          "submodule",
          "--quiet",
          "add",
          source,
          "lib/source",
        );
        launcher.commit(dir, "parts");
        const started = await launcher.start([dir]);
        expect(started.running.err).toMatch(
          /has submodules \(lib\/source\), which the agent's clone does not have/,
        );
        expect(started.running.err).toMatch(/uses Git LFS, which jj does not run/);
        await launcher.stop(started);
      },
      MINUTES,
    );
  });

  test(
    "D9: a long history shows its progress",
    async () => {
      const dir = launcher.repository("long");
      const commits = 100_000;
      let stream = "";
      for (let n = 1; n <= commits; n++) {
        stream += `commit refs/heads/main\ncommitter D <d@e> ${1_600_000_000 + n} +0000\ndata 2\nx\n${
          n === 1 ? "from refs/heads/main^0\n" : ""
        }M 100644 inline f${n % 500}\ndata ${String(n).length}\n${n}\n`;
      }
      must(["git", "-C", dir, "fast-import", "--quiet"], { env: launcher.scene.env, input: stream });
      launcher.git(dir, "reset", "--quiet", "--hard");
      const started = await launcher.start([dir]);
      launcher.scene.say(started.running.err.trim().replaceAll("\n", "\n    "));
      expect(started.running.err).toMatch(/(sending|cloning) the history.*(\d+%|\d+ s so far)/);
      await launcher.stop(started);
    },
    MINUTES,
  );

  test(
    "D16: a signing key that waits for a passphrase is never asked for",
    async () => {
      const { program, wasRun } = locked();
      const dir = launcher.scene.folder("signed");
      const env = {
        ...launcher.scene.env,
        JJ_CONFIG: launcher.scene.write(
          "locked.toml",
          `[user]\nname = "D"\nemail = "d@e"\n${signing(program)}`,
        ),
      };
      const jj = (...args: string[]) =>
        must(["jj", "--config", "signing.behavior=drop", ...args], { cwd: dir, env });
      jj("git", "init", ".");
      launcher.scene.write("signed/a.txt", "one\n");
      jj("commit", "-m", "base");
      jj("bookmark", "create", "main", "-r", "@-");
      // What is not in a snapshot yet would be signed by the look at it.
      launcher.scene.write("signed/b.txt", "mine\n");
      const started = await launcher.start([dir, "--allow-dirty"], { JJ_CONFIG: env.JJ_CONFIG });
      expect(wasRun()).toBe(false);
      await launcher.stop(started);
    },
    MINUTES,
  );

  test(
    "C1: sets every option of the server",
    async () => {
      const dir = launcher.repository("options");
      const state = join(launcher.base, "elsewhere");
      const flags = [
        ...["--state", state, "--auto-sync", "--verify-command", "true", "--verify-timeout-seconds", "5"],
        ...["--sync-prefix", "ai/", "--sync-push-branches", "main,topic/*", "--log-level", "debug"],
        ...["--host", "127.0.0.2"],
      ];
      const started = await launcher.start([dir, ...flags], { SUGGESTION_MANAGER_AGENT_MAY_APPROVE: "true" });
      expect(optionsOf(started.ready).plugin[0][1]).toEqual({
        host: "127.0.0.2",
        port: Number(new URL(started.ready.url).port),
        state_dir: state,
        auto_sync: true,
        verify: { command: "true", timeout_seconds: 5 },
        sync: { prefix: "ai/", push_branches: ["main", "topic/*"] },
        log_level: "debug",
        agent_may_approve: true,
      });
      expect(started.ready.url).toStartWith("http://127.0.0.2:");
      expect(started.curl.get("/suggestions").status).toBe(200);
      expect(existsSync(join(state, "ledger.sqlite"))).toBe(true);
      await launcher.stop(started);
      // Remembered, and never removed: it is not in a folder of ours.
      const again = await launcher.start([dir]);
      expect(optionsOf(again.ready).plugin[0][1]).toMatchObject({ state_dir: state });
      await launcher.stop(again);
    },
    MINUTES,
  );

  test(
    "D10: opencode is started again when it was killed, and this is told",
    async () => {
      const { running, ready, curl } = await launcher.start([launcher.repository("killed")]);
      const host = () => {
        const below = descendants(running.pid);
        return processList().find(
          ({ pid, command }) => below.includes(pid) && command.includes("opencode serve"),
        )?.pid;
      };
      const victim = host();
      if (victim === undefined) throw new Error("opencode does not run below npm");
      process.kill(victim, "SIGKILL");
      await until("it is told", () =>
        running.err.includes("opencode was ended by SIGKILL: it is started again in 1 s"),
      );
      await until("it runs again", () => running.err.includes("opencode runs again"), 60_000);
      expect(host()).not.toBe(victim);
      expect(running.alive).toBe(true);
      expect(curl.get("/suggestions").status).toBe(200);
      running.signal("SIGINT");
      await running.ended;
      expect(processList().filter(({ command }) => command.includes(dirname(ready.agent_repo)))).toEqual([]);
    },
    MINUTES,
  );

  test(
    "C13: the Neovim that it opens finds the help",
    async () => {
      const started = await launcher.start([launcher.repository("helped")]);
      await launcher.stop(started);
      const init = join(dirname(started.ready.token_file), "init.lua");
      const shown = 'vim.cmd.help("suggestion-review"); io.write(vim.fn.expand("%:t"))';
      const later = `lua vim.schedule(function() ${shown} vim.cmd.quitall() end)`;
      const argv = ["nvim", "--clean", "--headless", "-c", `luafile ${init}`, "-c", later];
      const done = run(argv, { env: launcher.scene.env });
      expect(done.out + done.err).toContain("suggestion-review.txt");
      expect(done.out + done.err).not.toContain("E149");
    },
    MINUTES,
  );

  test(
    "D9: two worktrees of one repository have a remote each, which the tear-down takes out",
    async () => {
      const main = launcher.repository("worktrees");
      const second = launcher.scene.path("second");
      launcher.git(main, "worktree", "add", "--quiet", "-b", "topic", second);
      const remotes = () =>
        Object.fromEntries(
          launcher
            .git(main, "remote", "-v")
            .split("\n")
            .filter((line) => line.endsWith("(fetch)"))
            .map((line) => line.split(/\s+/, 2) as [string, string]),
        );
      let one = await launcher.start([main]);
      expect(remotes()).toEqual({ agent: one.ready.remote });
      await launcher.stop(one);
      const two = await launcher.start([second]);
      expect(remotes()).toEqual({ agent: one.ready.remote, "agent-second": two.ready.remote });
      // Git finds the token by itself, and each the one of its own project.
      launcher.git(second, "fetch", "--quiet", "agent-second");
      one = await launcher.start([main]);
      expect(remotes()).toEqual({ agent: one.ready.remote, "agent-second": two.ready.remote });
      launcher.git(main, "fetch", "--quiet", "agent");
      launcher.git(main, "fetch", "--quiet", "agent-second");
      await launcher.stop(one);
      await launcher.stop(two);
      run(["npm", "--silent", "run", "teardown", "--", "--yes", "--delete-unpublished"], {
        cwd: ROOT,
        env: launcher.env,
      });
      expect(remotes()).toEqual({});
      expect(launcher.git(main, "config", "--list")).not.toContain("credential.");
    },
    MINUTES,
  );
});
