/** Real programs: run to their end, or started in a process group of their own so that all of it can be ended. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { noteFlags } from "./doors.ts";
import type { Scene } from "./scene.ts";

export interface Done {
  code: number;
  out: string;
  err: string;
}

interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  input?: string;
  timeoutMs?: number;
}

/** Runs a program to its end and says how it ended. */
export function run(argv: string[], options: RunOptions = {}): Done {
  const [program = "", ...args] = argv;
  const done = spawnSync(program, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    input: options.input ?? "",
    timeout: options.timeoutMs ?? 60_000,
    maxBuffer: 256 * 1024 * 1024,
    encoding: "utf8",
  });
  if (done.status === 0) noteFlags(argv);
  return { code: done.status ?? -1, out: done.stdout ?? "", err: done.stderr || (done.error?.message ?? "") };
}

/** Standard output of a program that must succeed. */
export function must(argv: string[], options: RunOptions = {}): string {
  const done = run(argv, options);
  if (done.code !== 0)
    throw new Error(`${argv.slice(0, 5).join(" ")} ended with ${done.code}: ${done.err || done.out}`);
  return done.out;
}

export class Running {
  private constructor(
    readonly child: ChildProcess,
    readonly pid: number,
    readonly outFile: string,
    readonly errFile: string,
    readonly ended: Promise<number>,
    private readonly argv: string[],
  ) {}

  /** Starts a program as the leader of a process group; its streams go to files of the scene. */
  static start(
    scene: Scene,
    name: string,
    argv: string[],
    options: { cwd?: string; env?: Record<string, string> } = {},
  ): Running {
    const [program = "", ...args] = argv;
    const outFile = scene.write(`${name}.out`, "");
    const errFile = scene.write(`${name}.err`, "");
    const files = [openSync(outFile, "a"), openSync(errFile, "a")] as const;
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? scene.env,
      detached: true,
      stdio: ["ignore", ...files],
    });
    for (const file of files) closeSync(file);
    const ended = new Promise<number>((resolve) => {
      child.on("exit", (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
      child.on("error", () => resolve(-1));
    });
    const running = new Running(child, child.pid ?? 0, outFile, errFile, ended, argv);
    scene.atEnd(() => running.stop());
    return running;
  }

  get out(): string {
    return readFileSync(this.outFile, "utf8");
  }

  get err(): string {
    return readFileSync(this.errFile, "utf8");
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The first line of standard output that is a JSON object. @throws when the program ends before it */
  async readyLine<Line>(timeoutMs = 30_000): Promise<Line> {
    const deadline = performance.now() + timeoutMs;
    while (performance.now() < deadline) {
      const line = this.out.split("\n").find((text) => text.startsWith("{") && text.endsWith("}"));
      if (line !== undefined) {
        noteFlags(this.argv);
        return JSON.parse(line) as Line;
      }
      if (!this.alive) break;
      await Bun.sleep(50);
    }
    throw new Error(`no line when ready; it said: ${this.err.slice(-2000) || this.out.slice(-2000)}`);
  }

  signal(name: NodeJS.Signals): void {
    try {
      process.kill(-this.pid, name);
    } catch {
      // Nothing of the group is left.
    }
  }

  /** Ends the whole group: politely, then not. */
  async stop(): Promise<void> {
    if (this.alive) {
      this.signal("SIGTERM");
      await Promise.race([this.ended, Bun.sleep(8000)]);
    }
    this.signal("SIGKILL");
    if (this.alive) await this.ended;
  }

  /** kill -9 of the program and of everything that descends from it, at once and without a word. */
  async killEverything(): Promise<void> {
    for (const pid of [...descendants(this.pid), this.pid]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Gone already.
      }
    }
    this.signal("SIGKILL");
    await this.ended;
  }
}

interface ProcessEntry {
  pid: number;
  parent: number;
  command: string;
}

/** What runs on this machine, from /proc or ps. */
export function processList(): ProcessEntry[] {
  if (process.platform !== "linux") {
    return must(["ps", "-axo", "pid=,ppid=,command="])
      .split("\n")
      .flatMap((line) => {
        const found = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line);
        return found === null
          ? []
          : [{ pid: Number(found[1]), parent: Number(found[2]), command: found[3] ?? "" }];
      });
  }
  const list: ProcessEntry[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The name in parentheses may itself hold any character: fields count from the last one.
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state === "Z") continue;
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      list.push({ pid: Number(name), parent: Number(parent), command });
    } catch {
      // Ended while we looked.
    }
  }
  return list;
}

export function descendants(pid: number): number[] {
  const list = processList();
  const found: number[] = [];
  let level = [pid];
  while (level.length > 0) {
    level = list.filter((entry) => level.includes(entry.parent)).map((entry) => entry.pid);
    found.push(...level);
  }
  return found;
}
