/**
 * What the launcher runs as the agent's user: programs that the agent has planted never get the developer's terminal or
 * environment, whatever they try, and mostly do not run at all.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isRoot, Launcher, type Started } from "../support/launcher.ts";
import { must, Running, run } from "../support/processes.ts";

const SENTINEL = `sentinel-${process.pid}`;
/** A developer's environment with things worth stealing in it. */
const SECRETS = {
  SECRET_API_KEY: `${SENTINEL}-key`,
  ANTHROPIC_AUTH: `${SENTINEL}-auth`,
  SSH_AUTH_SOCK: `/tmp/${SENTINEL}.sock`,
  XDG_RUNTIME_DIR: `/run/${SENTINEL}`,
  GIT_ASKPASS: `/bin/${SENTINEL}`,
};

interface Caught {
  command: string;
  environment: string[];
}

/** Logs who runs it, then tries everything with a terminal: open it, draw on it, type into it. */
const evil = (log: string) => `#!/bin/sh
{
  tty=no
  if (: > /dev/tty) 2>/dev/null; then
    tty=yes
    printf 'DRAWN-ON' > /dev/tty
    perl -e 'open(my $t, "+<", "/dev/tty") && ioctl($t, 0x5412, my $c = $_) for split //, "echo TYPED-IN\\n"' 2>/dev/null
  fi
  for fd in 0 1 2 3 4 5 6 7 8 9; do
    case "$(readlink /proc/$$/fd/$fd)" in /dev/pts/*|/dev/tty*) tty=yes; printf 'DRAWN-ON' > /proc/$$/fd/$fd ;; esac
  done
  echo "ran $0 tty=$tty $(tr '\\0' ' ' < /proc/$$/environ)"
} >> ${log} 2>/dev/null
exit 0
`;

// A second Unix user needs root; everything here is about that user.
// Skipped for an ordinary user: only root can make the separate user that this is about.
describe.skipIf(!isRoot)("what the agent has planted", () => {
  const launcher = new Launcher("trust");
  const { scene } = launcher;
  let project: string;
  let first: Started;
  let log: string;
  const logged = () => (existsSync(log) ? readFileSync(log, "utf8") : "");

  /** Every place where a setting or a hook of the agent's could make git or jj run a program. */
  function plant(): void {
    const { agent_repo: repo } = first.ready;
    const dir = dirname(repo);
    const env = launcher.agentEnv(first.ready);
    const as = (...words: string[]) => launcher.asAgent(words, { cwd: repo, env });
    const put = (path: string, text: string, mode = "755") =>
      as(
        "sh",
        "-c",
        'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1" && chmod "$3" "$1"',
        "sh",
        path,
        text,
        mode,
      );
    log = join(dir, "home/evil.log");
    const program = join(dir, "home/evil.sh");
    put(program, evil(log));
    const hub = must(["sh", "-c", `echo ${dir}/state/git/*.git`]).trim();
    for (const git of [hub, join(repo, ".git")]) {
      for (const hook of [
        "reference-transaction",
        "post-checkout",
        "pre-auto-gc",
        "post-index-change",
        "update",
      ])
        put(join(git, "hooks", hook), evil(log));
      for (const [name, value] of [
        ["core.fsmonitor", program],
        ["core.sshCommand", program],
        ["core.pager", program],
        ["diff.external", program],
        ["gpg.program", program],
        ["commit.gpgSign", "true"],
        ["alias.for-each-ref", `!${program}`],
        ["core.alternateRefsCommand", program],
        ["filter.evil.clean", program],
        ["filter.evil.process", program],
      ] as const)
        as("git", `--git-dir=${git}`, "config", name, value);
    }
    put(join(repo, ".gitattributes"), "* filter=evil diff=evil\n", "644");
    put(
      join(dir, "config/git/config"),
      `[core]\n\tfsmonitor = ${program}\n\thooksPath = ${hub}/hooks\n`,
      "644",
    );
    for (const [name, value] of [
      ["signing.behavior", "own"],
      ["signing.backend", "gpg"],
      ["signing.key", "evil"],
      ["signing.backends.gpg.program", program],
      ["fsmonitor.backend", "watchman"],
      ["git.executable-path", program],
      ["ui.pager", program],
      ["ui.diff-formatter", program],
    ] as const)
      as("jj", "config", "set", "--repo", name, value);
    // Not yet in a snapshot, so that looking at it makes a commit; and a name that would write to a terminal.
    as(
      "jj",
      "--config",
      "signing.behavior=drop",
      "describe",
      "--quiet",
      "-m",
      "\u001b]0;TITLE\u0007\u202eRED\u001b[31m",
    );
    put(join(repo, "work.txt"), "unpublished\n", "644");
  }

  beforeAll(async () => {
    project = launcher.repository();
    first = await launcher.start([project], SECRETS);
    await launcher.stop(first);
    plant();
  }, 120_000);
  afterAll(() => scene.close(), 60_000);

  const harmless = (screen: string, evidence = logged()) => {
    expect(screen).not.toContain("TYPED-IN");
    expect(screen).not.toContain("DRAWN-ON");
    expect(evidence).not.toContain("tty=yes");
    expect(evidence).not.toContain(SENTINEL);
  };

  test("the planted program does what it can where it is run with a terminal", async () => {
    const program = join(dirname(first.ready.agent_repo), "home/evil.sh");
    const screen = await launcher.onTerminal(
      `setpriv --reuid ${launcher.user} --regid ${launcher.user} --init-groups ${program}`,
      SECRETS,
    );
    expect(screen).toContain("DRAWN-ON");
    expect(logged()).toContain("tty=yes");
    expect(logged()).toContain(SENTINEL);
    must(["rm", log]);
  }, 60_000);

  interface Watched {
    screen: string;
    evidence: string;
    caught: Caught[];
  }
  let startIsWatched: Promise<Watched> | undefined;

  /** A start after a commit of the developer's, once for the tests that look at it, with every process of the agent's. */
  async function watchedStart(): Promise<Watched> {
    scene.write("project/a.txt", "two\n");
    launcher.commit(project, "more");
    const uid = must(["id", "-u", launcher.user]).trim();
    const watch = Running.start(scene, "watch", [
      "bun",
      join(import.meta.dir, "../support/environment-watch.ts"),
      uid,
    ]);
    await watch.readyLine();
    const screen = await launcher.onTerminal(
      `npm --silent start -- --headless --port 0 '${project}'`,
      SECRETS,
      (text) => text.includes("Ctrl-C stops everything"),
    );
    await watch.stop();
    const caught = watch.out
      .split("\n")
      .filter((line) => line.includes('"environment"'))
      .map((line) => JSON.parse(line) as Caught);
    return { screen, evidence: logged(), caught };
  }
  const theStart = () => (startIsWatched ??= watchedStart());

  test("B10: gets no terminal at a start after a commit of the developer's", async () => {
    const { screen, evidence } = await theStart();
    expect(screen).toContain("review server");
    harmless(screen, evidence);
  }, 120_000);

  test("B11: no process of the agent's user has the developer's environment", async () => {
    const { caught } = await theStart();
    scene.say(`looked at ${caught.length} processes of the agent's`);
    // opencode itself and what lives for milliseconds.
    expect(caught.some(({ command }) => command.includes("opencode serve"))).toBe(true);
    expect(caught.length).toBeGreaterThan(5);
    for (const { command, environment } of caught) {
      const stolen = environment.filter(
        (entry) => entry.includes(SENTINEL) || /^(SSH_|SUDO_|npm_(package|lifecycle|node)_)/.test(entry),
      );
      expect({ command, stolen }).toEqual({ command, stolen: [] });
      const home = environment.find((entry) => entry.startsWith("HOME="))?.slice(5) ?? "";
      expect({ command, home: home.startsWith(launcher.base) || home === "" }).toEqual({
        command,
        home: true,
      });
    }
  }, 120_000);

  test("B10: gets no terminal at the tear-down, is not run by it, and writes nothing to it", async () => {
    must(["rm", "-f", log]);
    const screen = await launcher.onTerminal("npm --silent run teardown -- --yes", SECRETS);
    // The tear-down refuses to remove unpublished work without a further word: the evidence is still there.
    expect(screen).toContain("change ");
    expect(screen).toContain("^[]0;TITLE^G<U+202E>RED^[[31m");
    expect(screen).not.toContain("\u001b]0;");
    expect(screen).not.toContain("\u202e");
    harmless(screen);
    expect(logged()).toBe("");
    const gone = await launcher.onTerminal(
      "npm --silent run teardown -- --yes --delete-unpublished",
      SECRETS,
    );
    harmless(gone);
    expect(run(["id", launcher.user]).code).not.toBe(0);
  }, 120_000);
});
