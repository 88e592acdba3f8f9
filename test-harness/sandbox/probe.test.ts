/** Whether a ring can be made: tried, and where it is forbidden the sentence names what forbids it. */
import { describe, expect, test } from "bun:test";
import { explain, whyNoRing } from "../../sandbox/probe.ts";
import { run } from "../support/processes.ts";

const bwrap = Bun.which("bwrap") ?? "bwrap";
const asItIs = async (command: string[]) => {
  const { code, err } = run(command);
  return { exitCode: code, stderr: err };
};

// Skipped off Linux, which alone has the namespaces.
describe.skipIf(process.platform !== "linux")("the probe", () => {
  test("finds that a ring can be made, by making one", async () => {
    expect(await whyNoRing(bwrap, asItIs)).toBeNull();
  });

  test("says what bwrap said where user namespaces are used up", async () => {
    // In a user namespace of its own that setting can be lowered without touching the machine's.
    const none = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"';
    const why = await whyNoRing(bwrap, (command) =>
      asItIs(["unshare", "--user", "--map-root-user", "sh", "-c", none, "sh", ...command]),
    );
    expect(why).toMatch(/namespace/);
  });

  test("says that the program is missing", async () => {
    const why = await whyNoRing("/nowhere/bwrap", asItIs);
    expect(why).toContain("/nowhere/bwrap");
  });
});

describe("what forbids a ring", () => {
  const said = "bwrap: No permissions to create new namespace";
  const settings = (given: Record<string, string>) => (path: string) => given[path] ?? null;

  for (const [name, path, value] of [
    ["user.max_user_namespaces", "/proc/sys/user/max_user_namespaces", "0"],
    ["kernel.unprivileged_userns_clone", "/proc/sys/kernel/unprivileged_userns_clone", "0"],
    [
      "kernel.apparmor_restrict_unprivileged_userns",
      "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
      "1",
    ],
  ] as const) {
    test(`is named: ${name}`, () => {
      const why = explain(said, settings({ [path]: value }));
      expect(why).toContain(`${name} = ${value}`);
      expect(why).toContain(said);
    });
  }

  test("is a profile where no setting does", () => {
    expect(explain(said, settings({}))).toMatch(/security profile/);
    expect(
      explain("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", settings({})),
    ).toMatch(/container/);
  });
});
