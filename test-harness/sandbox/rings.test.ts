/** Rings made for real, on folders of a test: what a command in one sees, may write and leaves behind. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { LIMITS, limited } from "../../sandbox/limits.ts";
import { type InnerRing, innerRing } from "../../sandbox/rings.ts";
import { seccompFilter } from "../../sandbox/seccomp.ts";
import { ringShell, SECCOMP_FD, TOLD } from "../../sandbox/shell.ts";
import { readSystem } from "../../sandbox/system.ts";
import { descendants, must, processList, run } from "../support/processes.ts";
import { Scene, until } from "../support/scene.ts";

const IN_MEMORY = 2 ** 20;

// Skipped off Linux, which alone has the namespaces.
describe.skipIf(process.platform !== "linux")("a ring", () => {
  const scene = new Scene("ring");
  const worktree = scene.folder("work tree's");
  let shell: string;

  const make = (change: Partial<InnerRing> = {}): string => {
    const filter = scene.path("filter.bpf");
    writeFileSync(filter, seccompFilter() ?? new Uint8Array());
    const ring: InnerRing = {
      system: readSystem(),
      worktree,
      home: scene.folder("ring-home"),
      shown: [scene.folder("shown")],
      pinned: [join(worktree, ".git")],
      network: "shared",
      seccomp: SECCOMP_FD,
      inMemory: IN_MEMORY,
      ...change,
    };
    const path = scene.path(`shell-${Object.keys(change).join("-")}`);
    const text = ringShell({
      bwrap: Bun.which("bwrap") ?? "bwrap",
      ring: innerRing(ring),
      filter,
      guarded: [
        { path: join(worktree, ".git/config"), empty: "/dev/null" },
        { path: join(worktree, "absent"), empty: scene.folder("empty") },
      ],
      environment: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: ring.home, ODD: "it's $HOME" },
      passed: ["MARK", "UNSET"],
      network: null,
      sentences: { stop: scene.path("stop"), ended: scene.path("ended.txt") },
      within: ["nice", "-n", "5"],
      command: limited(["/bin/sh"], { ...LIMITS, nproc: 50, fsize: 4096 }),
    });
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    return path;
  };
  const within = (
    code: string,
    options: { cwd?: string; program?: string; env?: Record<string, string> } = {},
  ) =>
    run([options.program ?? shell, "-c", code], {
      cwd: options.cwd ?? worktree,
      env: { PATH: process.env.PATH ?? "", SECRET: "s", MARK: "m  n", ...options.env },
    });

  beforeAll(() => {
    mkdirSync(join(worktree, ".git"));
    writeFileSync(join(worktree, ".git/config"), "settings\n");
    shell = make();
  });
  afterAll(() => scene.close());

  test("has the environment it is given, in process 1 too, and what the host passes by name", () => {
    const { out, err } = within("tr '\\0' '\\n' < /proc/1/environ");
    expect(err).toBe("");
    expect(out.trim().split("\n").sort()).toEqual(
      [
        `HOME=${scene.path("ring-home")}`,
        "MARK=m  n",
        "ODD=it's $HOME",
        "PATH=/usr/local/bin:/usr/bin:/bin",
      ].sort(),
    );
  });

  test("sees its own processes alone, and none of the host's descriptors", () => {
    expect(within("ls -d /proc/[0-9]* | wc -l").out.trim()).toMatch(/^[1-5]$/);
    const opened = run(["sh", "-c", `exec 5< /etc/passwd; exec "$0" -c 'ls /proc/self/fd'`, shell], {
      cwd: worktree,
    });
    expect(opened.out.trim().split("\n")).toEqual(["0", "1", "2", "3"]);
  });

  test("passes input, output, arguments and the exit code through", () => {
    const done = run([shell, "-c", 'cat; echo "$1" >&2; exit 7', "name", "two  words"], {
      cwd: worktree,
      input: "in",
    });
    expect(done).toEqual({ code: 7, out: "in", err: "two  words\n" });
  });

  test("can write its repository, its home and /tmp, and what is there is kept, /tmp apart", () => {
    expect(within("echo x > a && echo x > ~/b && echo x > /tmp/c && echo x > /dev/shm/d").code).toBe(0);
    expect(existsSync(join(worktree, "a"))).toBe(true);
    expect(within("cat ~/b; cat /tmp/c /dev/shm/d 2>&1 | grep -c 'No such file'").out).toBe("x\n2\n");
  });

  test("writes nowhere else, not even where it would be lost", () => {
    const places = ["/x", "/usr/x", "/etc/x", "/var/x", scene.path("shown/x")];
    for (const path of places)
      expect({ path, code: within(`: > '${path}'`).code }).toEqual({ path, code: 2 });
  });

  test("cannot write the kernel's settings, as root neither", () => {
    for (const path of ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"])
      expect({ path, code: within(`test -w ${path}`).code }).toEqual({ path, code: 1 });
    expect(within("cat /proc/self/status").out).toMatch(/CapEff:\s+0+\n/);
    expect(within("cat /proc/self/status").out).toMatch(/NoNewPrivs:\s+1\n/);
  });

  test("cannot change what is guarded, nor make it, nor move its folder", () => {
    for (const code of [
      "echo x > .git/config",
      "rm .git/config",
      "mv .git .g",
      "mkdir absent/x",
      "rmdir absent",
    ])
      expect({
        code,
        worked: within(`cd '${worktree.replaceAll("'", `'\\''`)}' && ${code}`).code === 0,
      }).toEqual({ code, worked: false });
    expect(readFileSync(join(worktree, ".git/config"), "utf8")).toBe("settings\n");
  });

  test("is not entered somewhere else when its folder is not there", () => {
    const done = within("echo ran", { cwd: scene.folder("elsewhere") });
    expect(done.out).toBe("");
    expect(done.code).not.toBe(0);
  });

  test("leaves nothing running, and is gone when what started it is killed", async () => {
    expect(within("sleep 43210 & sleep 0.1").code).toBe(0);
    await until("the sleeper is gone", () => !processList().some(({ command }) => command === "sleep 43210"));
    const child = Bun.spawn([shell, "-c", "sleep 43211"], { cwd: worktree });
    await until("it runs", () => processList().some(({ command }) => command === "sleep 43211"));
    expect(descendants(child.pid).length).toBeGreaterThan(0);
    child.kill("SIGKILL");
    await until("it is gone", () => !processList().some(({ command }) => command === "sleep 43211"));
  });

  test("is gone whole when its group is told to end, as an abort tells it, whatever ignores that in it", async () => {
    const code = "trap '' TERM; setsid sh -c \"trap '' TERM; sleep 43212\" & sleep 43213";
    const child = Bun.spawn([shell, "-c", code], { cwd: worktree, detached: true });
    const both = () => processList().filter(({ command }) => /^sleep 4321[23]$/.test(command));
    await until("both run", () => both().length === 2);
    process.kill(-child.pid, "SIGTERM");
    await until("both are gone", () => both().length === 0);
  });

  test("says why a command may not run, and that one was ended by force, with the words that it is told", async () => {
    scene.write("ended.txt", "Ended by force.\n");
    const forced = within("echo ran; kill -KILL $$");
    expect(forced).toEqual({ code: 137, out: "ran\n", err: expect.stringMatching(/^Ended by force\.$/m) });
    expect(within("exit 3")).toEqual({ code: 3, out: "", err: "" });
    const child = Bun.spawn([shell, "-c", "sleep 43214"], { cwd: worktree, stderr: "pipe" });
    const isThere = () => processList().filter(({ command }) => command === "sleep 43214");
    await until("it runs", () => isThere().length > 0);
    const stop = scene.write("stop", "There is no room.\n");
    for (const { pid } of isThere()) process.kill(pid, "SIGKILL");
    expect(await new Response(child.stderr).text()).toContain("There is no room.\n");
    expect(within("echo ran")).toEqual({ code: 125, out: "", err: "There is no room.\n" });
    rmSync(stop);
    expect(within("echo ran")).toEqual({ code: 0, out: "ran\n", err: "" });
  });

  test("sets no space aside at once, which only takes a moment, and lets a program write it", () => {
    const aside = within("fallocate -l 1000 aside; fallocate --posix -l 1000 aside && stat -c %s aside");
    expect(aside.err).toMatch(/not supported/);
    expect(aside.out).toBe("1000\n");
  });

  test("is around the folder that it is started in, with a home that it is told, where its script says so", () => {
    const ring = {
      system: readSystem(),
      ...TOLD,
      shown: [],
      pinned: [],
      network: "shared",
      seccomp: null,
      inMemory: IN_MEMORY,
    } as const;
    const program = scene.path("told");
    const text = ringShell({
      ...{ bwrap: Bun.which("bwrap") ?? "bwrap", ring: innerRing(ring), before: TOLD.before, filter: null },
      ...{ guarded: [], environment: { PATH: "/usr/bin:/bin", HOME: TOLD.home }, passed: [] },
      ...{ network: null, sentences: null, within: [] },
      command: ["/bin/sh"],
    });
    writeFileSync(program, text);
    chmodSync(program, 0o755);
    const [tree, home] = [scene.folder("a tree's"), scene.folder('a "home" $HOME')];
    scene.write("secret.txt", "secret\n");
    const code = `echo a > a; echo b > ~/b; ls ..; cat '${scene.path("secret.txt")}'; exit 7`;
    const done = run([program, home, "-c", code], { cwd: tree, env: { PATH: process.env.PATH ?? "" } });
    expect(done).toMatchObject({ code: 7, out: `a "home" $HOME\na tree's\n` });
    expect(done.err).toMatch(/secret\.txt.*No such file/);
    expect(readFileSync(join(tree, "a"), "utf8")).toBe("a\n");
    expect(readFileSync(join(home, "b"), "utf8")).toBe("b\n");
    // Without a home it runs nowhere.
    expect(run([program, scene.path("absent"), "-c", "echo ran"], { cwd: tree }).code).toBe(125);
  });

  test("has limits: processes, and the size of a file", () => {
    // The first run makes the place of what is absent, which the other user may not.
    within("true");
    // The kernel counts the processes of every user but root.
    must(["chmod", "755", scene.dir]);
    const other = process.getuid?.() === 0 ? ["setpriv", "--reuid=54322", "--clear-groups"] : [];
    const many = run([...other, shell, "-c", "for i in $(seq 80); do sleep 1 & done"], { cwd: worktree });
    expect(many.err).toMatch(/fork|resource/i);
    expect(within("head -c 9000 /dev/zero > big").code).not.toBe(0);
    expect(must(["stat", "-c", "%s", join(worktree, "big")]).trim()).toBe("4096");
  });

  test("reaches the machine's loopback when the network is shared, and nothing at all when it is not", async () => {
    const server = createServer((socket) => socket.end("hello"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const code = `perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new("127.0.0.1:${port}") or exit 3; print <$s>'`;
    const ask = async (program: string) => {
      const child = Bun.spawn([program, "-c", code], { cwd: worktree, stdout: "pipe" });
      return { out: await new Response(child.stdout).text(), code: await child.exited };
    };
    try {
      expect(await ask(shell)).toEqual({ out: "hello", code: 0 });
      expect(await ask(make({ network: "none" }))).toEqual({ out: "", code: 3 });
    } finally {
      server.close();
    }
  });
});
