/** What the agent's commands may take of a machine: by what there is, and by what the developer says. */
import { expect, test } from "bun:test";
import {
  groupLimit,
  type Machine,
  outerLimits,
  readMachine,
  ringLimits,
  sharesOf,
} from "../../sandbox/limits.ts";
import { parseOptions } from "../../scripts/start/options.ts";
import { Scene } from "../support/scene.ts";

const GIB = 2 ** 30;
const machine: Machine = {
  memory: 8 * GIB,
  processes: { now: 60_000, most: 60_000 },
  openFiles: 1_000_000,
  pids: 4_000_000,
};

test("a part of memory and processes is left for all else", () => {
  expect(sharesOf(machine)).toEqual({ memory: 6 * GIB, processes: 4096 });
  expect(sharesOf({ ...machine, processes: { now: 1000, most: 60_000 } }).processes).toBe(500);
  expect(sharesOf({ ...machine, pids: 2000 }).processes).toBe(1000);
  expect(sharesOf({ ...machine, pids: 256 }).processes).toBe(200);
  expect(sharesOf(machine, { memory: GIB, processes: 300 })).toEqual({ memory: GIB, processes: 300 });
});

test("opencode may always start more than its commands, and nobody is asked to go beyond what its user may", () => {
  const shares = sharesOf(machine, { memory: GIB, processes: 300 });
  expect(ringLimits(shares, machine)).toMatchObject({ nproc: 300, data: GIB, nofile: 16_384 });
  expect(outerLimits(shares, machine)).toMatchObject({ nproc: 4396, data: 16 * GIB });
  const small = { ...machine, processes: { now: 250, most: 2000 }, openFiles: 1024 };
  expect(ringLimits(shares, small)).toMatchObject({ nproc: 300, nofile: 1024 });
  expect(outerLimits(shares, small)).toMatchObject({ nproc: 2000, nofile: 1024 });
});

test("a control group's limits count, its own and those above it, of both kinds of the kernel's", () => {
  const scene = new Scene("groups");
  try {
    scene.write("system.slice/memory.max", `${4 * GIB}\n`);
    scene.write("system.slice/a.service/memory.max", "max\n");
    scene.write("system.slice/a.service/pids.max", "700\n");
    const groups = "0::/system.slice/a.service\n";
    expect(groupLimit("memory", groups, scene.dir)).toBe(4 * GIB);
    expect(groupLimit("pids", groups, scene.dir)).toBe(700);
    expect(groupLimit("pids", "0::/elsewhere\n", scene.dir)).toBe(Number.POSITIVE_INFINITY);
    scene.write("memory/old/memory.limit_in_bytes", `${GIB}\n`);
    expect(groupLimit("memory", "4:memory:/old/deeper\n3:cpu,cpuacct:/\n", scene.dir)).toBe(GIB);
  } finally {
    scene.close();
  }
});

test("this machine has memory and processes", () => {
  const { memory, processes, openFiles } = readMachine();
  expect(memory).toBeGreaterThan(2 ** 27);
  expect(processes.most).toBeGreaterThanOrEqual(processes.now);
  expect(openFiles).toBeGreaterThan(100);
});

test("limits are given as sizes and numbers, and what is none is refused by its name", () => {
  const limitsOf = (...args: string[]) => {
    const options = parseOptions(args);
    return options === "help" ? null : options.limits;
  };
  expect(
    limitsOf("--disk", "1.5G", "--disk-reserve", "500M", "--memory", "2097152", "--processes", "200"),
  ).toEqual({ disk: 1.5 * GIB, diskReserve: 500 * 2 ** 20, memory: 2 ** 21, processes: 200 });
  expect(limitsOf()).toEqual({});
  for (const [args, says] of [
    [["--disk", "much"], /--disk: expected a size of 1M or more, as in 500M or 2G, got "much"/],
    [["--disk", "-1G"], /--disk/],
    [["--disk-reserve", "2 G"], /--disk-reserve: expected a size/],
    [["--memory", "1K"], /--memory: expected a size/],
    [["--memory="], /--memory: expected a size/],
    [["--processes", "199"], /--processes: expected a number of 200 or more, got "199"/],
    [["--processes", "many"], /--processes: expected/],
    [["--no-cage", "--memory", "1G"], /are limits of the cage/],
  ] as const)
    expect(() => limitsOf(...args)).toThrow(says);
});
