/**
 * `npm run sandbox`: what it makes it makes once, what it removes leaves no trace, and the doctor's tries are true ones.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isRoot, Launcher } from "../support/launcher.ts";
import { must, run } from "../support/processes.ts";
import { ROOT } from "../support/scene.ts";

const MINUTES = 240_000;
const ORDINARY = 54_321;
const readable =
  run(["setpriv", `--reuid=${ORDINARY}`, "test", "-r", join(ROOT, "scripts/start/main.ts")]).code === 0;

/** Everything that a set-up could leave behind: files with owner, mode and time, users, groups. */
function pictureOf(launcher: Launcher, project: string): string {
  const folders = [launcher.local, launcher.base, project].filter((path) => existsSync(path));
  // A folder's own time and size tell of what is made in it and gone again, as a question does.
  const find = [
    ...["find", ...folders, "(", "-type", "d", "-printf", "%p %y %m %U:%G\n", ")"],
    // jj notes in the clone where it looked for settings of this repository, whenever somebody else looks.
    ...["-o", "-name", "config-id", "-printf", "%p %y %m %U:%G\n"],
    ...["-o", "-printf", "%p %y %m %U:%G %s %T@ %l\n"],
  ];
  return [
    ...must(find).split("\n").sort(),
    ...must(["getent", "passwd"])
      .split("\n")
      .filter((line) => line.startsWith(launcher.user)),
    ...must(["getent", "group"])
      .split("\n")
      .filter((line) => line.startsWith(launcher.user)),
  ].join("\n");
}

function works(who: string, possible: boolean, make: () => Launcher): void {
  // Skipped where this kind of user cannot be had: the other one is then tried alone.
  describe.skipIf(!possible)(who, () => {
    const launcher = possible ? make() : (null as unknown as Launcher);
    afterAll(() => launcher?.scene.close(), 60_000);

    test(
      `${who}: up lists and makes everything, a second time changes nothing, and down leaves no trace`,
      () => {
        const project = launcher.repository();
        must(["chmod", "-R", "a+rX", project]);
        // Whose files these are is settled by the first run.
        launcher.sandbox(["status"]);
        const before = pictureOf(launcher, project);
        const planned = launcher.sandbox(["up", project, "--dry-run"]);
        expect(planned).toMatchObject({ code: 0 });
        expect(planned.err).toContain("this would be made:");
        expect(planned.err).toContain("the agent's clone");
        expect(pictureOf(launcher, project)).toBe(before);

        const made = launcher.sandbox(["up", project]);
        expect(made.err).toContain("set up for");
        expect(made.code).toBe(0);
        const after = pictureOf(launcher, project);
        expect(after).not.toBe(before);
        const again = launcher.sandbox(["up", project]);
        expect(again.err).toContain("nothing was changed");
        expect(pictureOf(launcher, project)).toBe(after);

        const status = launcher.sandbox(["status"]);
        expect(status.out).toContain(project);
        expect(status.out).toMatch(/rings +made/);
        expect(status.out).toMatch(/runs +no/);

        const down = launcher.sandbox(["down", project, "--dry-run"]);
        expect(down.err).toContain("this would be removed:");
        expect(pictureOf(launcher, project)).toBe(after);
        const gone = launcher.sandbox(["down", project, "--yes"]);
        expect(gone.err).toContain("removed");
        expect(gone.code).toBe(0);
        // The folder for all projects goes with the last one.
        expect(existsSync(launcher.local)).toBe(false);
        const left = pictureOf(launcher, project).split("\n");
        expect(left).toEqual(before.split("\n").filter((line) => !line.startsWith(`${launcher.local} `)));
      },
      MINUTES,
    );

    test(
      `${who}: shell runs in both rings, the doctor finds that they hold, and finds what does not`,
      () => {
        const project = launcher.repository("second");
        must(["chmod", "-R", "a+rX", project]);
        expect(launcher.sandbox(["up", project]).code).toBe(0);
        const shown = launcher.sandbox([
          "shell",
          project,
          "--",
          "cat a.txt; cat /proc/1/comm; printf '\\033[31m'; exit 3",
        ]);
        expect(shown.out).toBe("one\nbwrap\n^[[31m");
        expect(shown.code).toBe(3);
        const healthy = launcher.sandbox(["doctor", project]);
        expect(healthy.out.split("\n").filter((line) => /^ {2}NO /.test(line))).toEqual([]);
        expect(healthy.out).toMatch(/commands may take .* of disk .* of memory and \d+ processes together/);
        expect(healthy.out).toContain("the outer ring, around opencode and the review server");
        expect(healthy.out).toContain("ok  does not reach the ledger and the tokens' hashes");
        expect(healthy.out).toContain("Everything holds.");
        expect(healthy.code).toBe(0);

        // What is made for the rings is what the doctor tries: a script that makes none is found out.
        const status = launcher.sandbox(["status", project]).out;
        const repo = /in (\S+)$/m.exec(status)?.[1] ?? "";
        const script = join(dirname(repo), "cage/shell");
        writeFileSync(script, '#!/bin/sh\nexec /bin/bash "$@"\n');
        const sick = launcher.sandbox(["doctor", project]);
        expect(sick.code).toBe(1);
        expect(sick.out).toContain("NO  reaches the ledger and the tokens' hashes");
        // Even so the outer ring holds.
        expect(sick.out).toContain("ok  does not reach your checkout");
        rmSync(script);
        expect(launcher.sandbox(["doctor", project]).err).toContain("There are no rings");
        expect(launcher.sandbox(["down", project, "--yes"]).code).toBe(0);
      },
      MINUTES,
    );
  });
}

works("root", isRoot, () => new Launcher("sand"));
works("an ordinary user", !isRoot || readable, () => new Launcher("sand-own", isRoot ? ORDINARY : null));

describe("npm run sandbox", () => {
  const launcher = new Launcher("sand-words");
  afterAll(() => launcher.scene.close(), 60_000);

  test(
    "says how it is used, and refuses what it does not know",
    () => {
      const help = run(["npm", "--silent", "run", "sandbox", "--", "--help"], {
        cwd: ROOT,
        env: launcher.env,
      });
      expect(help.code).toBe(0);
      for (const word of ["up", "down", "status", "shell", "doctor", "--dry-run"])
        expect(help.out).toContain(word);
      for (const [args, says] of [
        [["sideways"], /expected one of up, down.*got "sideways"/],
        [["up"], /up: expected a repository/],
        [["up", launcher.scene.folder("plain")], /is not a git or jj repository/],
        [["down"], /Nothing is set up/],
        [["doctor", "--bogus"], /--bogus/],
        [["up", "a", "b"], /expected one repository, got also b/],
      ] as const) {
        const done = launcher.sandbox([...args]);
        expect(done.code).toBeGreaterThan(0);
        expect(done.err).toMatch(says);
        expect(done.err).not.toMatch(/\n\s+at /);
      }
      expect(launcher.sandbox(["status"]).out).toContain("nothing is set up");
    },
    MINUTES,
  );

  // Skipped for an ordinary user: only root can make users.
  test.skipIf(!isRoot)(
    "two projects have two users, and neither reaches the other's side",
    () => {
      const [one, two] = [launcher.repository("one"), launcher.repository("two")];
      for (const project of [one, two]) expect(launcher.sandbox(["up", project]).code).toBe(0);
      const sides = [one, two].map((project) => {
        const repo = /in (\S+)$/m.exec(launcher.sandbox(["status", project]).out)?.[1] ?? "";
        return { repo, uid: statSync(repo).uid };
      });
      const [first, second] = sides;
      if (first === undefined || second === undefined) throw new Error("no two sides");
      expect(first.uid).not.toBe(second.uid);
      const switched = [
        "setpriv",
        `--reuid=${first.uid}`,
        `--regid=${statSync(first.repo).gid}`,
        "--clear-groups",
      ];
      expect(run([...switched, "ls", first.repo]).code).toBe(0);
      expect(run([...switched, "ls", second.repo]).code).not.toBe(0);
      expect(launcher.sandbox(["down", one, "--yes"]).code).toBe(0);
      // The other one's user, folders and the tools of all stay.
      expect(existsSync(join(second.repo, ".jj"))).toBe(true);
      expect(existsSync(join(launcher.base, "tools"))).toBe(true);
      expect(launcher.sandbox(["doctor", two]).out).toContain("Everything holds.");
      expect(launcher.sandbox(["down", two, "--yes"]).code).toBe(0);
      expect(existsSync(launcher.base)).toBe(false);
    },
    MINUTES,
  );
});
