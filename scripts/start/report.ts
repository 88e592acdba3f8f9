/** What the launcher says, and how it ends. Progress goes to standard error, results to standard output. */

import { UserError } from "../../sandbox/user.ts";
import { visible } from "./visible.ts";

/** Something the person can put right; shown as one sentence, without a stack. */
export class StartError extends Error {
  /** @param exitCode 1 when the machine is at fault, 2 when the command line is */
  constructor(
    message: string,
    readonly exitCode: 1 | 2 = 1,
  ) {
    super(message);
    this.name = "StartError";
  }
}

let name = "start";

/** Whatever a line quotes, it cannot write to the terminal anything but text. */
export function say(line: string): void {
  const text = `${name}: ${visible(line)}\n`;
  if (held === null) process.stderr.write(text);
  else held.push(text);
}

let held: string[] | null = null;

/** Keeps what is said for later, while the terminal is another program's. @returns what says it all */
export function holdLines(): () => void {
  held ??= [];
  return () => {
    const lines = held ?? [];
    held = null;
    for (const line of lines) process.stderr.write(line);
  };
}

/** How long something may take before it is said that it still goes on, and how often then. */
const PATIENCE_MS = 5_000;

/** Runs a step and says how long it took when that was noticeable. */
export async function step<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  const started = performance.now();
  const result = await work();
  const seconds = (performance.now() - started) / 1000;
  say(seconds >= 0.3 ? `${what} (${seconds.toFixed(1)} s)` : what);
  return result;
}

/** Runs what may take long, and says every few seconds that it goes on, unless its progress is shown already. */
export async function patiently<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
  const started = performance.now();
  const still = setInterval(() => {
    const now = performance.now();
    if (now - lastProgress >= PATIENCE_MS)
      say(`  ${doing} (${((now - started) / 1000).toFixed(0)} s so far)`);
  }, PATIENCE_MS);
  try {
    return await work();
  } finally {
    clearInterval(still);
  }
}

let lastProgress = Number.NEGATIVE_INFINITY;

/** Takes git's progress as it is written and says where it is, every few seconds once it takes that long. */
export function progress(what: string): (text: string) => void {
  let next = performance.now() + PATIENCE_MS / 2;
  return (text) => {
    const [last] = [...text.matchAll(/(\w+ objects): +(\d+%) \((\d+\/\d+)\)/g)].slice(-1);
    if (last === undefined || performance.now() < next) return;
    lastProgress = performance.now();
    next = lastProgress + PATIENCE_MS / 2;
    say(`  ${what}: ${last[1]?.toLowerCase()} ${last[2]} (${last[3]})`);
  };
}

/** The sentence for an error of any kind. */
export function sentenceOf(error: unknown): string {
  if (error instanceof StartError || error instanceof UserError) return error.message;
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const path = (error as NodeJS.ErrnoException | null)?.path;
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return `${path ?? "A folder"} cannot be written by this user: make it writable, or run this as its owner.`;
  }
  if ((code === "ENOENT" || code === "ENOTDIR" || code === "EEXIST") && path !== undefined) {
    return `${path} cannot be made or opened (${code}): see what is in its way.`;
  }
  if (code === "ENOSPC")
    return `No space is left for ${path ?? "the files of this project"}: free some and try again.`;
  return error instanceof Error ? error.message : String(error);
}

/**
 * Runs a program to its end, under the name that it speaks by. A command line that cannot be read is answered with what it
 * should be.
 */
export async function runProgram(
  newName: string,
  usage: string,
  main: () => Promise<number>,
): Promise<never> {
  name = newName;
  try {
    process.exit(await main());
  } catch (error) {
    const code = (error as { code?: string }).code ?? "";
    if (!code.startsWith("ERR_PARSE_ARGS")) fail(error);
    fail(new StartError(`${(error as Error).message}\n\n${usage}`, 2));
  }
}

/** Ends a program with the sentence of what was thrown. */
export function fail(error: unknown): never {
  say(sentenceOf(error));
  const known =
    error instanceof StartError ||
    error instanceof UserError ||
    (error as NodeJS.ErrnoException | null)?.code !== undefined;
  if (!known && error instanceof Error && error.stack !== undefined)
    process.stderr.write(`${visible(error.stack)}\n`);
  process.exit(error instanceof StartError ? error.exitCode : 1);
}
