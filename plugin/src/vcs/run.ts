/**
 * Runs other programs: the one place that starts git and jj. Output is bytes: file names and file contents are not text. Nothing here goes through a
 * shell, and no secret is ever passed in an argument. Bun.spawn rather than execa here: execa's byte output does not
 * run on the Bun that opencode embeds (1.3.14 knows no stream encoding "buffer").
 */

import { type ErrorCode, ReviewError, storageFull } from "../protocol/errors.ts";
import { programEnvironment } from "./environment.ts";

const KILL_AFTER_MS = 5_000;
const EMPTY = new Uint8Array(0);

export interface RunOptions {
  cwd?: string;
  input?: Uint8Array | string;
  /** Added to {@link programEnvironment}; undefined removes a variable. */
  env?: Record<string, string | undefined>;
  /** Milliseconds; default two minutes. The whole process is ended with SIGTERM, then SIGKILL. */
  timeout?: number;
  /** Exit codes that are an answer rather than a failure; default [0]. */
  expect?: number[];
  code?: ErrorCode;
  /** Given every piece of the standard output as it comes; the result's `stdout` is then empty. */
  onOutput?: (chunk: Uint8Array) => void;
}

export interface RunResult {
  stdout: Uint8Array;
  stderr: string;
  exitCode: number;
}

/**
 * @throws ReviewError with the program's own last words when it cannot be started, ends with an unexpected code or
 *   does not end in time
 */
export async function run(program: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
  const started = start(program, args, options);
  const { child } = started;
  let timedOut = false;
  let giveUp: () => void = () => {};
  // What the program started may outlive it and hold its pipes open for ever.
  const abandoned = new Promise<never>((_resolve, reject) => {
    giveUp = () => reject(new Error("its output was not closed"));
  });
  abandoned.catch(() => undefined);
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGTERM");
    setTimeout(() => {
      child.kill("SIGKILL");
      void child.exited.then(giveUp);
    }, KILL_AFTER_MS).unref();
  }, options.timeout ?? 120_000);
  let stdout: Uint8Array = EMPTY;
  let stderr = "";
  let exitCode = -1;
  try {
    const ended = Promise.all([
      options.onOutput === undefined
        ? new Response(child.stdout).arrayBuffer().then((buffer) => new Uint8Array(buffer))
        : handOver(child.stdout, options.onOutput),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    [stdout, stderr, exitCode] = await Promise.race([ended, abandoned]);
  } catch (thrown) {
    // Nobody reads on.
    child.kill("SIGKILL");
    await child.exited;
    if (!timedOut) throw thrown;
  } finally {
    clearTimeout(timer);
  }
  if (timedOut || child.signalCode !== null || !(options.expect ?? [0]).includes(exitCode)) {
    const what = timedOut
      ? `did not end in time (${(options.timeout ?? 120_000) / 1000} s) and was stopped`
      : child.signalCode === null
        ? `failed (${exitCode})`
        : `was ended by ${child.signalCode}`;
    const said = stderr.trim().split("\n").slice(-6).join("\n");
    // strerror(3) in the C locale, which our environment for git sets, and git's own words for a short write.
    if (/No space left on device|Disk quota exceeded|Out of diskspace/.test(stderr))
      throw storageFull(directoryOf(args) ?? options.cwd ?? null, new Error(said));
    throw new ReviewError(options.code ?? "internal", `${program} ${command(args)} ${what}: ${said}`, {
      details: { program, exit_code: exitCode },
    });
  }
  return { stdout, stderr, exitCode };
}

async function handOver(
  output: ReadableStream<Uint8Array>,
  onOutput: (chunk: Uint8Array) => void,
): Promise<Uint8Array> {
  for await (const chunk of output) onOutput(chunk);
  return EMPTY;
}

/** Like Promise.all, but nothing is still running when it throws: whoever holds a lock may let go of it then. */
export async function together<Results extends readonly unknown[]>(
  work: readonly [...{ [Index in keyof Results]: Promise<Results[Index]> }],
): Promise<Results> {
  await Promise.allSettled(work);
  return (await Promise.all(work)) as unknown as Results;
}

function start(program: string, args: string[], options: RunOptions) {
  try {
    const child = Bun.spawn([program, ...args], {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      stdin:
        options.input === undefined
          ? "ignore"
          : new Blob([options.input as Uint8Array<ArrayBuffer> | string]),
      stdout: "pipe",
      stderr: "pipe",
      env: programEnvironment(options.env),
    });
    return { child };
  } catch (cause) {
    throw new ReviewError(
      options.code ?? "internal",
      `${program} could not be run: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/**
 * Runs a program while nothing else happens: for a few milliseconds inside one step.
 * @returns its standard output
 */
export function runNow(
  program: string,
  args: string[],
  options: Pick<RunOptions, "cwd" | "env" | "code"> = {},
): Uint8Array {
  const done = Bun.spawnSync([program, ...args], {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: "ignore",
    env: programEnvironment(options.env),
  });
  if (!done.success) {
    throw new ReviewError(
      options.code ?? "internal",
      `${program} ${command(args)} failed (${done.exitCode}): ${done.stderr.toString().trim()}`,
    );
  }
  return done.stdout;
}

/** Starts a program between two open files, in exactly the given environment. */
export const startBetween = (
  program: string,
  args: string[],
  options: {
    env: Record<string, string>;
    cwd: string;
    stdin: number | "ignore";
    stdout: number;
    timeout: number;
  },
) => Bun.spawn([program, ...args], { ...options, stderr: "pipe" });

/** The repository that a git command was told to work on. */
const directoryOf = (args: string[]): string | undefined => {
  const at = args.indexOf("--git-dir");
  return at < 0 ? undefined : args[at + 1];
};

/** The word that tells what was asked, behind options that are always there. */
const command = (args: string[]): string => args.find((arg) => /^[a-z][a-z-]*$/.test(arg)) ?? args[0] ?? "";

/** Standard output as text without its final newline; directories may have names beyond ASCII. */
export const textOf = (result: RunResult): string =>
  Buffer.from(result.stdout).toString("utf8").replace(/\n$/, "");
