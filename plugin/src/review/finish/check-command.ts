/**
 * Runs a project's own check: a shell command whose failure is an answer. It gets a process group of its own, so that
 * what it started ends with it, and only the end of what it prints is kept.
 */
import { execa } from "execa";
import { programEnvironment } from "../../vcs/environment.ts";
import { CALL } from "../tell/commands.ts";

/** Variable by which a launcher that makes rings says which program runs a check in one: `PROGRAM HOME -c COMMAND`. */
export const CHECK_SHELL = "ISOLATED_AI_CODER_CHECK";

export interface CheckOptions {
  cwd: string;
  /** An empty folder beside it, which is all that the check has of a home where it is run in a ring. */
  home: string;
  /** Its number; see {@link import("../tell/commands.ts").Commands}. */
  call: string;
  timeoutSeconds: number;
  /** Told the last line of what was printed, each time something is. */
  onLine: (line: string) => void;
}

export interface CheckResult {
  /** Null where a signal ended it, the limit's included. */
  exitCode: number | null;
  /** Standard output and error as they came, the last 64 KiB; what the limit did is said in its last line. */
  output: string;
}

/** Bytes of output that are kept. */
const OUTPUT_KEPT = 64 * 1024;
/** Milliseconds between asking a group to end and ending it. */
const KILL_AFTER_MS = 2_000;
/** Milliseconds the output of processes that left the group is still waited for. */
const OUTPUT_AFTER_MS = 500;

/** The last bytes of a stream. */
class Tail {
  #chunks: Buffer[] = [];
  #size = 0;
  #cut = false;

  add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size - (this.#chunks[0]?.length ?? 0) >= OUTPUT_KEPT) {
      this.#size -= this.#chunks.shift()?.length ?? 0;
      this.#cut = true;
    }
  }

  text(): string {
    const whole = Buffer.concat(this.#chunks);
    const cut = this.#cut || whole.length > OUTPUT_KEPT;
    return `${cut ? "[…]\n" : ""}${whole.subarray(-OUTPUT_KEPT).toString("utf8")}`;
  }
}

/** Signals a whole process group; one that has ended already is none of anybody's business. */
function signalGroup(leader: number | undefined, signal: NodeJS.Signals): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, signal);
  } catch {
    // ESRCH: nothing of it is left.
  }
}

/**
 * Runs it in the ring of a launcher that has made one for checks, else as the server itself.
 * @param command for `sh -c`
 * @throws when the shell cannot be started; a failing command does not throw
 */
export async function runCheck(command: string, options: CheckOptions): Promise<CheckResult> {
  const ring = process.env[CHECK_SHELL];
  const before = ring === undefined ? [] : [options.home];
  const child = execa(ring ?? "sh", [...before, "-c", command], {
    cwd: options.cwd,
    env: programEnvironment({ [CALL]: options.call }),
    extendEnv: false,
    stdin: "ignore",
    all: true,
    buffer: false,
    reject: false,
    // A session and a group of its own: the limit ends what the command started, too.
    detached: true,
  });
  const tail = new Tail();
  child.all?.on("data", (chunk: Buffer) => {
    tail.add(chunk);
    const line = chunk.toString("utf8").trimEnd().split("\n").pop() ?? "";
    if (line !== "") options.onLine(line);
  });
  let timedOut = false;
  let killing: ReturnType<typeof setTimeout> | undefined;
  const limit = setTimeout(() => {
    timedOut = true;
    signalGroup(child.pid, "SIGTERM");
    killing = setTimeout(() => signalGroup(child.pid, "SIGKILL"), KILL_AFTER_MS);
  }, options.timeoutSeconds * 1000);
  const exited = new Promise<void>((resolve) => child.nodeChildProcess.once("exit", () => resolve()));
  const late = exited.then(() => {
    // What the command left behind in its group ends with it, and what left the group holds the pipe open no longer.
    signalGroup(child.pid, "SIGKILL");
    return new Promise<void>((resolve) => setTimeout(resolve, OUTPUT_AFTER_MS));
  });
  try {
    const result = await Promise.race([child, late.then(() => null)]);
    if (result === null) child.all?.destroy();
    if (result?.failed && result.exitCode === undefined && !timedOut && result.signal === undefined) {
      throw result.cause instanceof Error ? result.cause : new Error(result.shortMessage);
    }
    const exitCode = child.nodeChildProcess.exitCode;
    const said = timedOut ? `\nstopped after ${options.timeoutSeconds} s` : "";
    return { exitCode: timedOut ? null : exitCode, output: `${tail.text()}${said}` };
  } finally {
    clearTimeout(limit);
    clearTimeout(killing);
  }
}
