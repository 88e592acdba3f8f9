/**
 * A file that a transfer passes through. The runtime (Bun 1.3.14, measured) takes a request's body and a child's
 * output as fast as they come and sends a stream's pieces whether or not the client reads: 3 GB read slowly took
 * 1.6 GB of memory. Files it sends properly, from the disk as the client takes them.
 */
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

const PREFIX = "spool-";
/** By then the runtime has long opened the file it is to send; its name may go. */
const NAME_KEPT_MS = 10_000;

/** What a killed server left behind. Files of a running one are younger than its longest transfer. */
export function removeOldSpools(directory: string, olderThanMs: number): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name);
    if (name.startsWith(PREFIX) && Date.now() - statSync(path).mtimeMs > olderThanMs)
      rmSync(path, { force: true });
  }
}

export class Spool {
  readonly #path: string;
  readonly #file: FileHandle;
  #size = 0;
  #removed = false;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  static async create(directory: string): Promise<Spool> {
    const path = join(directory, `${PREFIX}${process.pid}-${randomBytes(8).toString("hex")}`);
    return new Spool(path, await open(path, "wx+", 0o600));
  }

  /** For a child to inherit; `append` writes by position and leaves its offset at the beginning. */
  fd(): number {
    return this.#file.fd;
  }

  get size(): number {
    return this.#size;
  }

  async append(piece: Uint8Array): Promise<void> {
    let done = 0;
    while (done < piece.byteLength) {
      const { bytesWritten } = await this.#file.write(
        piece,
        done,
        piece.byteLength - done,
        this.#size + done,
      );
      done += bytesWritten;
    }
    this.#size += piece.byteLength;
  }

  /** The first bytes of what a child wrote. */
  async start(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    const piece = new Uint8Array(limit);
    const { bytesRead } = await this.#file.read(piece, 0, limit, 0);
    return piece.subarray(0, bytesRead);
  }

  /**
   * What follows `from`, as a response body; the spool is used up by it.
   *
   * @param start what `start` gave: when that is all there is, no file is left to be sent
   */
  answer(start: Uint8Array<ArrayBuffer>, from: number): Uint8Array<ArrayBuffer> | Blob {
    if (statSync(this.#path).size === start.byteLength) {
      this.remove();
      return start.subarray(from);
    }
    setTimeout(() => this.remove(), NAME_KEPT_MS).unref();
    return Bun.file(this.#path).slice(from);
  }

  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    rmSync(this.#path, { force: true });
    this.#file.close().catch(() => {});
  }
}
