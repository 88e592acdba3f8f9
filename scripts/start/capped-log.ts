/** A log of what a program says, written here and not by the program, which could fill the disk with it. */
import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from "node:fs";

const MOST_BYTES = 64 * 2 ** 20;

const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
const open = (path: string) => openSync(path, APPEND, 0o600);

export class CappedLog {
  #file: number;
  #size: number;

  /** @param path appended to; beyond its size it begins anew, and the one before is kept as `<path>.1` */
  constructor(
    private readonly path: string,
    private readonly most = MOST_BYTES,
  ) {
    this.#file = open(path);
    this.#size = fstatSync(this.#file).size;
  }

  /** Writes streams down to their end. */
  async take(...streams: ReadableStream<Uint8Array>[]): Promise<void> {
    await Promise.all(streams.map((one) => this.#takeOne(one)));
    closeSync(this.#file);
  }

  async #takeOne(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of stream) {
      try {
        this.#write(chunk);
      } catch {
        // The disk is full, say: the program goes on all the same, and must not wait for a reader.
      }
    }
  }

  #write(chunk: Uint8Array): void {
    if (this.#size + chunk.length > this.most) {
      renameSync(this.path, `${this.path}.1`);
      closeSync(this.#file);
      this.#file = open(this.path);
      this.#size = 0;
    }
    writeSync(this.#file, chunk);
    this.#size += chunk.length;
  }
}
