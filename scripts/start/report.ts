/** What the launcher says, and how it ends. Progress goes to standard error, results to standard output. */

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

export function speakAs(newName: string): void {
  name = newName;
}

export function say(line: string): void {
  process.stderr.write(`${name}: ${line}\n`);
}

/** Runs a step and says how long it took when that was noticeable. */
export async function step<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  const started = performance.now();
  const result = await work();
  const seconds = (performance.now() - started) / 1000;
  say(seconds >= 0.3 ? `${what} (${seconds.toFixed(1)} s)` : what);
  return result;
}

/** The sentence for an error of any kind. */
export function sentenceOf(error: unknown): string {
  if (error instanceof StartError) return error.message;
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

/** Ends a program with the sentence of what was thrown. */
export function fail(error: unknown): never {
  say(sentenceOf(error));
  const known = error instanceof StartError || (error as NodeJS.ErrnoException | null)?.code !== undefined;
  if (!known && error instanceof Error && error.stack !== undefined) process.stderr.write(`${error.stack}\n`);
  process.exit(error instanceof StartError ? error.exitCode : 1);
}
