/**
 * A file without a name that a transfer passes through. The runtime (Bun 1.3.14, measured) reads a request's body
 * and a child's output as fast as they come, whether or not anybody takes them: 3 GB read slowly took 1.6 GB of
 * memory. Going through a file bounds memory by one piece, and git is done as soon as it can be.
 */
import { randomBytes } from "node:crypto";
import { constants, unlinkSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

const PIECE_BYTES = 256 * 1024;

export class Spool {
  readonly #file: FileHandle;
  #size = 0;
  #read = 0;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** The name is gone before a byte is written, so that a killed server leaves nothing behind. */
  static async create(directory: string): Promise<Spool> {
    const path = join(directory, `spool-${process.pid}-${randomBytes(8).toString("hex")}`);
    const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    unlinkSync(path);
    return new Spool(file);
  }

  /** For a child to inherit. Reading and writing by position elsewhere does not move its offset. */
  get fd(): number {
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

  /** @returns what was written since the last read, up to one piece; empty when there is no more so far */
  async next(): Promise<Uint8Array> {
    const piece = new Uint8Array(PIECE_BYTES);
    const { bytesRead } = await this.#file.read(piece, 0, piece.byteLength, this.#read);
    this.#read += bytesRead;
    return piece.subarray(0, bytesRead);
  }

  close(): void {
    // Nothing depends on it: the file has no name, and a second close finds it closed.
    this.#file.close().catch(() => {});
  }
}
