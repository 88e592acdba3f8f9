/**
 * `npm start` as a newcomer runs it, with folders of its own: the demo reaches a published suggestion, the loop goes
 * on with curl, Ctrl-C and a kill -9 of npm leave nothing behind, and starting again goes on. What cannot work is said
 * in a sentence.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { claimPort, freePort } from "../../scripts/start/ports.ts";
import { Curl } from "../support/curl.ts";
import { fetchHub, treeOf } from "../support/expected-tree.ts";
import { must, processList, Running, run } from "../support/processes.ts";
import { ROOT, Scene, until } from "../support/scene.ts";
import type { ReadyLine } from "../support/server.ts";

const scene = new Scene("start");
const local = scene.path("local");
const isRoot = process.getuid?.() === 0;
const COMMENT = "no test file of its own for the units";

interface Started extends ReadyLine {
  checkout: string;
}

// The user's own HOME and tools, as npm start has them; only the place of the demo is another one.
const env = { ...(process.env as Record<string, string>), ISOLATED_AI_CODER_LOCAL: local };
const argv = (...args: string[]): string[] => [
  "npm",
  "--silent",
  "start",
  "--",
  "--headless",
  "--json",
  "--port",
  "0",
  ...args,
];

async function start(name: string): Promise<{ running: Running; ready: Started; curl: Curl }> {
  const running = Running.start(scene, name, argv(), { cwd: ROOT, env });
  const ready = await running.readyLine<Started>(75_000);
  return { running, ready, curl: new Curl(scene, ready.url, ready.token_file) };
}

let agentFolder: string | null = null;
/** Processes of this demo, whoever they run as. */
const ours = () =>
  processList().filter(
    ({ command }) => command.includes(local) || (agentFolder !== null && command.includes(agentFolder)),
  );

beforeAll(() => {
  mkdirSync(local, { recursive: true });
  // The agent's user passes through, and enters nothing that is not its own.
  must(["chmod", "755", scene.dir, local]);
});
afterAll(async () => {
  await scene.close();
  // Only the folder of this very test; it has the place of this demo in its name.
  if (isRoot && agentFolder?.includes("/demo-")) {
    const user = must(["stat", "-c", "%U", join(agentFolder, "home")]).trim();
    rmSync(agentFolder, { recursive: true, force: true });
    // Each demo's agent has a user of its own.
    if (user.startsWith("ai-coder-")) must(["userdel", user]);
  }
});

describe("the demo", () => {
  test("reaches a suggestion, is reviewed with curl, ends cleanly and goes on", async () => {
    let { running, ready, curl } = await start("first");
    agentFolder = dirname(ready.agent_repo);
    expect(running.out.trim().split("\n").length).toBe(1);
    expect(Object.keys(ready)).toEqual(
      expect.arrayContaining(["url", "token_file", "checkout", "agent_repo", "remote"]),
    );
    expect(statSync(ready.token_file).mode & 0o777).toBe(0o600);
    const [suggestion] = curl.list();
    if (suggestion === undefined) throw new Error("nothing was published");
    const { id } = suggestion;
    const hunks = curl.hunks(id);
    scene.say(`ready: ${hunks.length} hunks in ${suggestion.files.length} files`);
    expect(hunks.length).toBeGreaterThanOrEqual(5);
    expect(suggestion.files.length).toBeGreaterThanOrEqual(3);
    expect(hunks.map(({ kind }) => kind)).toEqual(expect.arrayContaining(["create", "delete"]));

    if (isRoot) {
      const user = must(["stat", "-c", "%U", ready.agent_repo]).trim();
      expect(must(["stat", "-c", "%U", ready.checkout]).trim()).not.toBe(user);
      const asAgent = (...words: string[]) =>
        run(["setpriv", "--reuid", user, "--regid", user, "--init-groups", ...words]);
      expect(asAgent("touch", join(ready.agent_repo, ".probe")).code).toBe(0);
      rmSync(join(ready.agent_repo, ".probe"), { force: true });
      for (const path of ["planted", "src/report.ts", ".git/config", ".git/hooks/post-checkout"]) {
        expect(asAgent("sh", "-c", 'echo planted >> "$1"', "sh", join(ready.checkout, path)).code).not.toBe(
          0,
        );
      }
      expect(asAgent("cat", ready.token_file).code).not.toBe(0);
      scene.say(
        `the agent runs as ${user}, which can neither write the checkout nor read the developer's token`,
      );
    }

    const accepted = hunks.find(({ file }) => file === "src/units.ts");
    const rejected = hunks.find(({ file }) => file === "tests/units.test.ts");
    const original = hunks.find(({ diff }) => diff.includes('"mean", "median"];'));
    if (accepted === undefined || rejected === undefined || original === undefined)
      throw new Error("hunks missing");
    curl.decide(accepted, "accept");
    curl.decide(rejected, "reject", { comment: COMMENT });
    await until(
      "the rejected file leaves the agent's working copy",
      () => run(["test", "-e", join(ready.agent_repo, rejected.file)]).code !== 0,
    );
    scene.say("accepted one, rejected one; the agent's working copy follows");

    running.signal("SIGINT");
    // npm itself may end by the signal, whatever the program did with it.
    expect([0, 130]).toContain(await Promise.race([running.ended, Bun.sleep(15_000).then(() => -1)]));
    await until("every process is gone", () => ours().length === 0, 5000).catch(() =>
      expect(ours()).toEqual([]),
    );
    scene.say("Ctrl-C: no process is left");

    ({ running, ready, curl } = await start("second"));
    expect(curl.list().map((one) => one.id)).toEqual([id]);
    expect(curl.suggestion(id)).toMatchObject({ reviewed_count: 2, status: "partial" });
    scene.say("started again: both decisions are there");
    const modifiedDiff = original.diff.replace('"mean", "median"];', '"median", "mean"];');
    curl.decide(original, "modify", { modified_diff: modifiedDiff });
    const result = curl.finalize(id);
    const hub = fetchHub(scene, ready.remote, curl.token);
    const expected = treeOf(scene, hub.dir, result.base_commit, [
      accepted,
      { ...original, diff: modifiedDiff },
    ]);
    expect(hub.git("rev-parse", `${result.ref}^{tree}`)).toBe(expected);
    expect(hub.git("rev-list", "--count", `main..${result.ref}`)).toBe("1");
    scene.say(`finalized as ${result.ref}: exactly base + accepted + modified`);
    // npm alone, which then passes no signal on.
    process.kill(running.pid, "SIGKILL");
    await running.ended;
    await until("every process is gone", () => ours().length === 0);
    scene.say("kill -9 of npm: no process is left");
  }, 90_000);
});

describe("what cannot work is said, and ends with an error", () => {
  const refused = (args: string[], says: RegExp) => {
    const done = run(["npm", "--silent", "start", "--", "--headless", "--json", ...args], {
      cwd: ROOT,
      env,
      timeoutMs: 60_000,
    });
    scene.say(`${done.code}: ${done.err.trim().split("\n").at(-1)}`);
    expect(done.code).toBeGreaterThan(0);
    expect(done.out).toBe("");
    expect(done.err).toMatch(says);
    expect(done.err).not.toMatch(/\n\s+at /);
  };

  test("a port that is taken", async () => {
    const stranger = createServer();
    await new Promise<void>((resolve) => stranger.listen(0, "127.0.0.1", resolve));
    const address = stranger.address();
    const port = typeof address === "object" ? address?.port : 0;
    try {
      refused(["--port", String(port)], new RegExp(`\\b${port}\\b`));
    } finally {
      stranger.close();
    }
  }, 60_000);

  test("a folder that is no repository", () => {
    refused(["--port", "0", scene.folder("plain")], /is not a git or jj repository/);
  }, 60_000);

  test("a path that does not exist", () => {
    refused(["--port", "0", scene.path("nowhere")], /is not there/);
  }, 60_000);

  test("a repository without a commit", () => {
    const dir = scene.folder("empty");
    must(["git", "init", "--quiet", dir], { env: scene.env });
    refused(["--port", "0", dir], /no commit yet/);
  }, 60_000);

  test("an option that is not known", () => refused(["--prot", "0"], /--prot/), 60_000);

  test("a repository with uncommitted changes", () => {
    const dir = scene.folder("dirty");
    const git = (...args: string[]) => must(["git", "-C", dir, ...args], { env: scene.env });
    git("init", "--quiet", "--initial-branch=main");
    writeFileSync(join(dir, "a.txt"), "one\n");
    git("add", "--all");
    git("commit", "--quiet", "--message", "base");
    writeFileSync(join(dir, "a.txt"), "two\n");
    refused(["--port", "0", dir], /uncommitted changes \(a\.txt\)/);
    expect(readFileSync(join(dir, "a.txt"), "utf8")).toBe("two\n");
    expect(git("status", "--porcelain")).toBe(" M a.txt\n");
  }, 60_000);
});

test("a free port is none that the kernel could give to a connection before it is opened", async () => {
  const range = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8")
    .trim()
    .split(/\s+/)
    .map(Number);
  const [low = 0, high = 0] = range;
  for (let times = 0; times < 50; times++) {
    const port = await freePort();
    expect(port < low || port > high).toBe(true);
    expect(await claimPort(port)).toBe(port);
  }
});
