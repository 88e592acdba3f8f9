/** Refused system calls that are told: real rings, the kernel's own listener, and whoever answers killed and stopped. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RefusedCalls } from "../../plugin/src/agent/refused-calls.ts";
import { type RefusedCall, Tally } from "../../sandbox/notify/tally.ts";
import { seccompFilter } from "../../sandbox/seccomp.ts";
import { ARCHITECTURES } from "../../sandbox/system-calls.ts";
import { processList, Running, run } from "../support/processes.ts";
import { ROOT, Scene, until } from "../support/scene.ts";

let scene: Scene;
afterEach(() => scene?.close());

const numbers = new Map(
  [...(ARCHITECTURES[process.arch]?.names ?? [])].map(([number, name]) => [name, number]),
);
/** Makes a call so many times, and prints the last error's number. */
const calling = (name: string, times = 1) =>
  `perl -e 'for (1..${times}) { syscall(${numbers.get(name)}, 0, 0, 0, 0) } print $! + 0, "\\n"'`;
const EPERM = "1";
const ENOSYS = "38";

const file = () => scene.path("calls.jsonl");
const told = (): RefusedCall[] =>
  existsSync(file())
    ? readFileSync(file(), "utf8")
        .trim()
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as RefusedCall)
    : [];
const counted = () => {
  const sums: Record<string, number> = {};
  for (const { name, count } of told()) sums[name] = (sums[name] ?? 0) + count;
  return sums;
};

/** Words that run a command in an outer ring. @param telling or bubblewrap's filter alone */
function outer(command: string, telling = true): string[] {
  scene ??= new Scene("notify");
  const filter = scene.path("outer.bpf");
  writeFileSync(filter, seccompFilter(process.arch, "outer", "yield") ?? new Uint8Array());
  writeFileSync(scene.path("inner.bpf"), seccompFilter(process.arch, "inner", "yield") ?? new Uint8Array());
  const ring = [
    "--unshare-user",
    "--unshare-pid",
    "--dev-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "--seccomp",
    "9",
  ];
  const words = ["bun", "--no-env-file", join(ROOT, "sandbox/notify/told.ts"), file(), scene.dir];
  return [
    ...["sh", "-c", 'exec bwrap "$@" 9< "$0"', filter, ...ring, "--"],
    ...(telling ? words : []),
    ...["sh", "-c", command],
  ];
}

/** A command of the shell in an inner ring with that number. A /proc of its own no ring of root's can have in another. */
const inner = (number: string, command: string) =>
  `http_proxy=http://${number}:x@127.0.0.1:3128 bwrap --unshare-user --unshare-pid --dev-bind / / --die-with-parent --seccomp 8 -- sh -c ${quoted(command)} 8< ${quoted(scene.path("inner.bpf"))}`;
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

const fresh = () => {
  scene = new Scene("notify");
};
/** Of this scene: nobody else has its path. */
const answering = () =>
  processList().find(({ command }) => command.includes(`answer.ts ${file()}`))?.pid ?? 0;

/** Runs a command in an outer ring that stays until so many calls are told, as opencode does. @returns what it printed */
async function staying(command: string, calls: number): Promise<string> {
  const go = scene.path("enough");
  const ring = Running.start(
    scene,
    "ring",
    outer(`${command}\nuntil [ -e ${quoted(go)} ]; do sleep 0.05; done`),
    { env: process.env as Record<string, string> },
  );
  await until(`${calls} calls are told`, () => {
    const sum = told().reduce((total, { count }) => total + count, 0);
    return sum >= calls;
  });
  writeFileSync(go, "");
  expect(await ring.ended).toBe(0);
  return readFileSync(ring.outFile, "utf8");
}

// Skipped off Linux, which alone has the namespaces.
describe.skipIf(process.platform !== "linux")("a refused system call", () => {
  test("is told with its name, the program, the number of the command and a count; the program sees EPERM", async () => {
    fresh();
    const detached = quoted(scene.path("detached"));
    const first = inner(
      "c0ffee",
      `${calling("ptrace", 3)}; ${calling("keyctl")}; (setsid ${calling("bpf")} > ${detached} &); until [ -s ${detached} ]; do sleep 0.05; done; cat ${detached}`,
    );
    const out = await staying(`${calling("ptrace")}; ${first}`, 6);
    expect(out).toBe([EPERM, EPERM, EPERM, EPERM, ""].join("\n"));
    const lines = told().map(({ name, program, call, count }) => [name, program, call, count]);
    expect(lines).toHaveLength(4);
    expect(lines).toContainEqual(["ptrace", "perl", undefined, 1]);
    expect(lines).toContainEqual(["ptrace", "perl", "c0ffee", 3]);
    expect(lines).toContainEqual(["keyctl", "perl", "c0ffee", 1]);
    // Of what was detached too.
    expect(lines).toContainEqual(["bpf", "perl", "c0ffee", 1]);
    expect(told().find(({ name }) => name === "bpf")?.reason).toBe("it programs the kernel");
  });

  test("typing into a terminal is told by its name; what makes rings and what runtimes only try is refused and not told", async () => {
    fresh();
    const typing = `perl -e 'ioctl(STDIN, 0x5412, my $c = "x"); print $! + 0, "\\n"'`;
    const silent = ["mount", "setns", "io_uring_setup"].map((name) => calling(name)).join("; ");
    // The last one is told after all the others.
    const tries = `${typing}; ${silent}; unshare --user true || echo none; ${calling("kcmp")}`;
    expect(await staying(inner("1", tries), 2)).toBe(
      [EPERM, EPERM, EPERM, EPERM, "none", EPERM, ""].join("\n"),
    );
    expect(counted()).toEqual({ "ioctl(TIOCSTI)": 1, kcmp: 1 });
  });

  test("none is lost or made up where many try at once, and what was told is bounded", async () => {
    fresh();
    const many = Array.from({ length: 6 }, () => `${calling("ptrace", 1500)} &`).join(" ");
    expect(await staying(inner("2", `${many} ${calling("kcmp", 100)}; wait`), 9100)).toBe(
      `${EPERM}\n`.repeat(7),
    );
    expect(counted()).toEqual({ ptrace: 9000, kcmp: 100 });
    expect(told().length).toBeLessThan(100);
  });

  test("is refused where nobody answers any more, and holds nothing up", async () => {
    fresh();
    const go = scene.path("go");
    const command = inner(
      "3",
      `${calling("ptrace")}; until [ -e ${quoted(go)} ]; do sleep 0.05; done; ${calling("ptrace")}`,
    );
    const ring = Running.start(scene, "ring", outer(command), { env: process.env as Record<string, string> });
    await until("the first one is told", () => (counted().ptrace ?? 0) === 1);
    process.kill(answering(), "SIGKILL");
    await until("it is gone", () => answering() === 0);
    writeFileSync(go, "");
    expect(await ring.ended).toBe(0);
    expect(readFileSync(ring.outFile, "utf8")).toBe(`${EPERM}\n${ENOSYS}\n`);
  });

  test("a command that waits for an answer which does not come can be stopped", async () => {
    fresh();
    const go = scene.path("go");
    const mark = scene.path("waiting");
    const try_ = calling("ptrace");
    const waiting = `${try_}; until [ -e ${quoted(go)} ]; do sleep 0.05; done; exec ${try_} ${mark}`;
    const ring = Running.start(scene, "ring", outer(inner("4", waiting)), {
      env: process.env as Record<string, string>,
    });
    await until("the first one is told", () => (counted().ptrace ?? 0) === 1);
    const answers = answering();
    process.kill(answers, "SIGSTOP");
    writeFileSync(go, "");
    const trying = () =>
      processList().find(({ command }) => command.startsWith("perl") && command.endsWith(mark));
    await until("it waits", () => trying() !== undefined);
    process.kill(trying()?.pid ?? 0, "SIGKILL");
    await until("it is gone", () => trying() === undefined);
    process.kill(answers, "SIGCONT");
    expect(await ring.ended).toBe(137);
    await until("who answers has ended, too", () => answering() === 0);
  });

  test("is refused without anybody who tells, too", () => {
    fresh();
    const { out } = run(
      outer(`${calling("ptrace")}; ${inner("5", `${calling("ptrace")}; ${calling("mount")}`)}`, false),
    );
    expect(out).toBe([ENOSYS, ENOSYS, EPERM, ""].join("\n"));
  });

  test("where the kernel gives no second listener that is said, and the calls are refused all the same", () => {
    fresh();
    const once = outer(calling("ptrace"));
    const shell = once.lastIndexOf("sh");
    const again = once
      .slice(once.indexOf("--") + 1, shell)
      .map((word) => (word === file() ? `${file()}.2` : word));
    const { out, err, code } = run([...once.slice(0, shell), ...again, ...once.slice(shell)]);
    expect({ out, code }).toEqual({ out: `${EPERM}\n`, code: 0 });
    expect(err).toBe("Refused system calls are not told here: the kernel gives no listener for them\n");
    expect(existsSync(`${file()}.2`)).toBe(false);
  });

  test("a program is started as it would be without: its folder, descriptors, signals and code of exit", () => {
    fresh();
    const look = "pwd; ls /proc/self/fd | tr '\\n' ' '; grep -E 'SigIgn|SigBlk' /proc/self/status; exit 7";
    const [with_, without] = [run(outer(look)), run(outer(`cd ${quoted(scene.dir)}; ${look}`, false))];
    expect(with_).toEqual(without);
    expect(with_.code).toBe(7);
  });
});

describe("the file of refused calls", () => {
  const who = { program: "gdb", call: "c0ffee" };

  test("has one line for each kind of a while, and counts what is more as others", () => {
    fresh();
    const tally = new Tally(file());
    for (let n = 0; n < 150; n++) tally.add(`call-${n}`, "why", who);
    tally.add("call-3", "why", who);
    tally.write();
    expect(tally.isEmpty).toBe(true);
    expect(told()).toHaveLength(101);
    expect(told().find(({ name }) => name === "call-3")?.count).toBe(2);
    expect(told().at(-1)).toMatchObject({ name: "*", count: 50 });
  });

  test("names what the launcher has given a number, and nothing else", () => {
    fresh();
    const calls = new RefusedCalls(file(), { c0ffee: "the MCP server x" });
    const line = (call: string) =>
      `${JSON.stringify({ name: "ptrace", reason: "why", program: "gdb", call, count: 1 })}\n`;
    writeFileSync(file(), line("c0ffee") + line("toString"));
    expect(calls.next().map(({ command }) => command)).toEqual(["the MCP server x", undefined]);
  });

  test("is read line by line, each once, also when it was begun anew; what is none is passed over", () => {
    fresh();
    const line = (name: string, more: object = {}) =>
      `${JSON.stringify({ name, reason: "why", ...who, count: 2, ...more })}\n`;
    const calls = new RefusedCalls(file());
    expect(calls.next()).toEqual([]);
    writeFileSync(file(), line("old"));
    expect(new RefusedCalls(file()).next()).toEqual([]);
    expect(calls.next()).toHaveLength(1);
    rmSync(file());
    expect(calls.next()).toEqual([]);
    const [whole, half] = [line("ptrace", { program: "g\u202ed\u0007b" }), line("bpf")];
    writeFileSync(file(), `${whole}no line\n{}\n${line("kcmp", { count: 0 })}${half.slice(0, 20)}`);
    expect(calls.next()).toEqual([
      { kind: "system_call", target: "ptrace", reason: "why", program: "g d b", call: "c0ffee", count: 2 },
    ]);
    expect(calls.next()).toEqual([]);
    writeFileSync(file(), half.slice(20), { flag: "a" });
    expect(calls.next()).toMatchObject([{ target: "bpf" }]);
    writeFileSync(file(), line("keyctl"));
    expect(calls.next()).toMatchObject([{ target: "keyctl" }]);
    writeFileSync(file(), line("x").repeat(250), { flag: "a" });
    expect([calls.next().length, calls.next().length, calls.next().length, calls.next().length]).toEqual([
      100, 100, 50, 0,
    ]);
  });
});
