/**
 * One run of `git http-backend`: the request's body goes into a spool, git reads it from there and answers into
 * another, and the client takes the answer while git still writes. Memory holds one piece at a time; the process
 * ends when git is done, when its client leaves, or when nothing moves any more.
 */
import { ReviewError } from "../protocol/errors.ts";
import { type CgiHead, parseCgiHead } from "./cgi.ts";
import type { Limits } from "./limits.ts";
import { Spool } from "./spool.ts";

export interface GitAnswer {
  head: CgiHead;
  body: ReadableStream<Uint8Array>;
}

export interface GitEnd {
  /** Exit code of git; null when it was never started. */
  code: number | null;
  complaint: string;
}

/** What a failed git says, kept for the log. */
const MOST_COMPLAINT_BYTES = 4096;
const MOST_HEAD_BYTES = 64 * 1024;
/** How soon output is looked for while git is still writing. */
const LOOK_MS = 4;

export class GitTransfer {
  readonly #limits: Limits;
  readonly #directory: string;
  readonly #finished = Promise.withResolvers<GitEnd>();
  #child: Bun.Subprocess<Bun.SpawnOptions.Writable, number, "pipe"> | null = null;
  #cut = false;

  /** @param directory where spools may lie and git is started */
  constructor(directory: string, limits: Limits) {
    this.#directory = directory;
    this.#limits = limits;
  }

  /** Settles once git has ended, or is known never to start. */
  get ended(): Promise<GitEnd> {
    return this.#finished.promise;
  }

  /** Ends the process. A pack that was not complete is never taken: git has not even been started then. */
  cut(): void {
    this.#cut = true;
    this.#child?.kill("SIGTERM");
  }

  /** @param environment made from the size of the body, which is known only once all of it is there */
  async exchange(
    request: Request,
    environment: (contentLength: number) => Record<string, string>,
  ): Promise<GitAnswer> {
    const input = await Spool.create(this.#directory);
    const output = await Spool.create(this.#directory);
    try {
      await this.#receive(request.body, input);
      if (this.#cut) throw new ReviewError("invalid_request", "The transfer was cut off");
      this.#start(input, output, environment(input.size));
      return await this.#answer(output);
    } catch (error) {
      if (this.#child === null) this.#finished.resolve({ code: null, complaint: "" });
      this.#child?.kill("SIGKILL");
      output.close();
      throw error;
    } finally {
      input.close();
    }
  }

  async #receive(body: ReadableStream<Uint8Array> | null, input: Spool): Promise<void> {
    if (body === null) return;
    const { gitInputBytes, gitIdleMs } = this.#limits;
    const reader = body.getReader();
    let idle: ReturnType<typeof setTimeout> | undefined;
    try {
      for (;;) {
        const late = Promise.withResolvers<never>();
        idle = setTimeout(
          () => late.reject(new ReviewError("request_timeout", `No byte came for ${gitIdleMs} ms`)),
          gitIdleMs,
        );
        const { done, value } = await Promise.race([reader.read(), late.promise]);
        clearTimeout(idle);
        if (done || this.#cut) return;
        if (input.size + value.byteLength > gitInputBytes) {
          throw new ReviewError("payload_too_large", `A push may bring at most ${gitInputBytes} bytes`);
        }
        await input.append(value);
      }
    } finally {
      clearTimeout(idle);
      reader.cancel().catch(() => {});
    }
  }

  #start(input: Spool, output: Spool, environment: Record<string, string>): void {
    const child = Bun.spawn(["git", "http-backend"], {
      env: environment,
      cwd: this.#directory,
      stdin: input.size === 0 ? "ignore" : input.fd,
      stdout: output.fd,
      stderr: "pipe",
    });
    this.#child = child;
    void (async () => {
      const complaint = await readSome(child.stderr, MOST_COMPLAINT_BYTES);
      this.#finished.resolve({ code: await child.exited, complaint });
    })();
  }

  async #answer(output: Spool): Promise<GitAnswer> {
    let seen: Uint8Array = new Uint8Array();
    for (;;) {
      const head = parseCgiHead(seen);
      if (head !== null) return { head, body: this.#body(output, seen.subarray(head.end)) };
      const piece = await this.#more(output);
      if (piece === null || seen.length > MOST_HEAD_BYTES) {
        const { complaint } = await this.ended;
        throw new ReviewError("git_error", "git gave no answer", { cause: complaint });
      }
      seen = Buffer.concat([seen, piece]);
    }
  }

  /** @returns the next piece of output, waiting for it if need be; null at the end */
  async #more(output: Spool): Promise<Uint8Array | null> {
    for (;;) {
      const over = this.#child?.exitCode !== null || this.#child.signalCode !== null;
      const piece = await output.next();
      if (piece.length > 0) return piece;
      if (over) return null;
      await Promise.race([this.#child?.exited, Bun.sleep(LOOK_MS)]);
    }
  }

  #body(output: Spool, first: Uint8Array): ReadableStream<Uint8Array> {
    // A "direct" stream: only its flush(true) waits for a client that reads slowly.
    return new ReadableStream<Uint8Array>({
      type: "direct",
      pull: async (controller) => {
        try {
          let piece: Uint8Array | null = first;
          while (piece !== null && !this.#cut) {
            controller.write(piece);
            await controller.flush(true);
            piece = await this.#more(output);
          }
          controller.close();
        } finally {
          output.close();
        }
      },
      cancel: () => this.cut(),
    } as Bun.DirectUnderlyingSource<Uint8Array>);
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
