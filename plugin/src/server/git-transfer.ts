/**
 * One run of `git http-backend`: bytes go through in both directions as fast as the slower side takes them, nothing
 * is collected, and the process ends when its client does or when nothing moves any more.
 */
import { ReviewError } from "../protocol/errors.ts";
import { type CgiHead, readCgi } from "./cgi.ts";
import type { Limits } from "./limits.ts";

/** What a failed git says, kept for the log. */
const MOST_COMPLAINT_BYTES = 4096;

interface Ended {
  code: number;
  complaint: string;
}

export class GitTransfer {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #inputLimit: number;
  readonly #idle: ReturnType<typeof setInterval>;
  #lastMove = performance.now();
  readonly ended: Promise<Ended>;

  constructor(environment: Record<string, string>, cwd: string, limits: Limits) {
    this.#inputLimit = limits.gitInputBytes;
    this.#child = Bun.spawn(["git", "http-backend"], {
      env: environment,
      cwd,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#idle = setInterval(() => {
      if (performance.now() - this.#lastMove > limits.gitIdleMs) this.cut();
    }, limits.gitIdleMs / 4);
    this.ended = this.#end();
  }

  /** Ends the process. A pack that was not complete is not taken: git updates refs only after the whole of it. */
  cut(): void {
    this.#child.kill("SIGTERM");
  }

  /** @param input the request's body, passed on as it comes */
  async exchange(
    input: ReadableStream<Uint8Array> | null,
  ): Promise<{ head: CgiHead; body: ReadableStream<Uint8Array> }> {
    const fed = this.#feed(input).catch((error: unknown) => {
      this.cut();
      return error;
    });
    const answer = await readCgi(this.#child.stdout, () => this.#moved());
    if (answer !== null) return answer;
    this.#child.kill("SIGKILL");
    const error = await Promise.race([fed, Bun.sleep(100)]);
    if (error instanceof ReviewError) throw error;
    const { complaint } = await this.ended;
    throw new ReviewError("git_error", "git gave no answer", { cause: complaint });
  }

  #moved(): void {
    this.#lastMove = performance.now();
  }

  async #end(): Promise<Ended> {
    const complaint = await readSome(this.#child.stderr, MOST_COMPLAINT_BYTES);
    const code = await this.#child.exited;
    clearInterval(this.#idle);
    return { code, complaint };
  }

  async #feed(input: ReadableStream<Uint8Array> | null): Promise<void> {
    const { stdin } = this.#child;
    try {
      let size = 0;
      for await (const chunk of input ?? []) {
        this.#moved();
        size += chunk.byteLength;
        if (size > this.#inputLimit) {
          throw new ReviewError("payload_too_large", `A push may bring at most ${this.#inputLimit} bytes`);
        }
        stdin.write(chunk);
        // Resolves once the pipe took it: a slow git slows the client instead of filling memory.
        await stdin.flush();
      }
    } finally {
      await stdin.end();
    }
  }
}

async function readSome(stream: ReadableStream<Uint8Array>, limit: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    if (size < limit) chunks.push(chunk.subarray(0, limit - size));
    size += chunk.byteLength;
  }
  return Buffer.concat(chunks).toString("utf8");
}
