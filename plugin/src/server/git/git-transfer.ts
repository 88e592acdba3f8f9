/**
 * One run of `git http-backend`: the request's body goes into a spool, git reads it from there and answers into
 * another, which the client takes at its own pace when git is long gone. Memory holds one piece at a time, and no
 * process waits for a slow client.
 */
import { ReviewError } from "../../protocol/errors.ts";
import { startBetween } from "../../vcs/run.ts";
import type { Limits } from "../limits.ts";
import { type CgiHead, parseCgiHead } from "./cgi.ts";
import { Spool } from "./spool.ts";

export interface GitAnswer {
  head: CgiHead;
  body: Uint8Array<ArrayBuffer> | Blob;
}

export interface GitEnd {
  /** Exit code of git; null when it was never started. */
  code: number | null;
  complaint: string;
}

/** What a failed git says, kept for the log. */
const MOST_COMPLAINT_BYTES = 4096;
const MOST_HEAD_BYTES = 64 * 1024;

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
      if (request.method === "POST") await requireLines(input);
      this.#start(input, output, environment(input.size));
      return await this.#answer(output);
    } catch (error) {
      if (this.#child === null) this.#finished.resolve({ code: null, complaint: "" });
      this.#child?.kill("SIGKILL");
      output.remove();
      throw error;
    } finally {
      input.remove();
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
    const child = startBetween("git", ["http-backend"], {
      env: environment,
      cwd: this.#directory,
      stdin: input.size === 0 ? "ignore" : input.fd(),
      stdout: output.fd(),
      timeout: this.#limits.gitRunMs,
    });
    this.#child = child;
    void (async () => {
      const complaint = await readSome(child.stderr, MOST_COMPLAINT_BYTES);
      this.#finished.resolve({ code: await child.exited, complaint });
    })();
  }

  /** Once git is done: a small answer from memory, a large one from its file by the kernel's own means. */
  async #answer(output: Spool): Promise<GitAnswer> {
    const { code, complaint } = await this.ended;
    const start = await output.start(MOST_HEAD_BYTES);
    const head = parseCgiHead(start);
    if (head === null || code !== 0) {
      output.remove();
      throw new ReviewError("git_error", "git gave no answer", { cause: complaint });
    }
    return { head, body: output.answer(start, head.end) };
  }
}

/**
 * A request of git's is made of lines with their length in front, or of such lines in gzip (gitprotocol-common,
 * gitprotocol-http). What is not would have git end without an answer.
 */
async function requireLines(input: Spool): Promise<void> {
  const start = await input.start(4);
  const plain = /^[0-9a-f]{4}$/i.test(Buffer.from(start).toString("latin1"));
  if (!plain && !(start[0] === 0x1f && start[1] === 0x8b)) {
    throw new ReviewError("invalid_request", "body: expected pkt-lines of git's smart HTTP protocol");
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
