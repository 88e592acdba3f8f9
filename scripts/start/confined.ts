/**
 * Runs a program to its end with nothing of this terminal: a session of its own (so that /dev/tty is not there and
 * TIOCSTI reaches nobody), pipes for its output, and limits of size and time on them. What it leaves holding a pipe is
 * not waited for.
 */
import { visibleLine } from "./visible.ts";

/** Most questions are answered at once; who asks for more says so. */
export const QUESTION_MS = 60_000;
/** A whole history may be on its way: progress is shown meanwhile. */
export const TRANSFER_MS = 3_600_000;
const OUTPUT_BYTES = 16 * 1024 * 1024;
/** How long output is waited for after the program itself has ended. */
const LINGER_MS = 2_000;

export interface ConfinedOptions {
  cwd: string;
  env: Record<string, string>;
  input?: Uint8Array | ReadableStream;
  timeoutMs?: number;
  outputBytes?: number;
  /** Told of what comes on standard error, for progress. */
  onError?: (text: string) => void;
}

export interface ConfinedResult {
  exitCode: number;
  stdout: string;
  stderr: string;
  /** Why it was ended from here, or null: half a sentence that follows the program's name. */
  problem: string | null;
}

const running = new Set<number>();
// In a session of its own a child gets no Ctrl-C: it ends with this process.
process.on("exit", () => {
  for (const pid of running) killGroup(pid);
});

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

/** A process in a session of its own that gives its output away as a stream. Its group is ended by `kill`. */
export function spawnConfined(argv: string[], options: ConfinedOptions) {
  const child = Bun.spawn(argv, {
    cwd: options.cwd,
    env: options.env,
    stdin: options.input ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
  running.add(child.pid);
  void child.exited.then(() => running.delete(child.pid));
  return { child, kill: () => killGroup(child.pid) };
}

/** Runs a program to its end; a failure is an answer. */
export async function runConfined(argv: string[], options: ConfinedOptions): Promise<ConfinedResult> {
  const { child, kill } = spawnConfined(argv, options);
  const limit = options.timeoutMs ?? QUESTION_MS;
  let problem: string | null = null;
  const stop = (why: string) => {
    problem ??= why;
    kill();
  };
  const timer = setTimeout(() => stop(`did not end within ${limit / 1000} s and was stopped`), limit);
  const most = options.outputBytes ?? OUTPUT_BYTES;
  const tooMuch = () => stop(`wrote more than ${Math.round(most / 1024)} kB and was stopped`);
  const out = collect(child.stdout, most, tooMuch);
  const err = collect(child.stderr, most, tooMuch, options.onError);
  const exitCode = await child.exited;
  clearTimeout(timer);
  // A process that the program left behind may hold the pipes for ever.
  const lingering = setTimeout(() => {
    out.cancel();
    err.cancel();
  }, LINGER_MS);
  const [stdout, stderr] = await Promise.all([out.text, err.text]);
  clearTimeout(lingering);
  return { exitCode, stdout, stderr, problem };
}

function collect(
  stream: ReadableStream<Uint8Array>,
  most: number,
  tooMuch: () => void,
  onChunk?: (text: string) => void,
): { text: Promise<string>; cancel(): void } {
  const reader = stream.getReader();
  const read = async () => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
      if (done || value === undefined) break;
      size += value.length;
      if (size > most) {
        tooMuch();
        await reader.cancel().catch(() => undefined);
        break;
      }
      chunks.push(value);
      onChunk?.(decoder.decode(value, { stream: true }));
    }
    return Buffer.concat(chunks).toString("utf8");
  };
  return { text: read(), cancel: () => void reader.cancel().catch(() => undefined) };
}

/** The last lines that a program said, as one harmless line. */
export const lastWords = (stderr: string): string =>
  visibleLine(stderr.trim().split("\n").slice(-3).join(" "), 600);
