/**
 * The ring around opencode and the review server, as bubblewrap's arguments. Pure: folders and options in, words out. It
 * keeps everything in it from what is the developer's; each command of the model's then gets the ring of `rings.ts` in it.
 */
import { beginning, devices, keep, show } from "./rings.ts";
import type { System } from "./system.ts";

export interface OuterRing {
  system: System;
  /** Folders and files at their own place, read-only. */
  shown: readonly string[];
  /** Folders and files at their own place, writable: the agent's repository, home, temporary files and state. */
  kept: readonly string[];
  /** Folders below those, each with what is seen in its place, read-only: whatever the agent put there is not read. */
  covered: readonly { path: string; by: string }[];
  /** The folder that the server makes its socket in, which is {@link SERVER_FOLDER} inside. */
  sockets: string;
  /** Where the program starts. */
  cwd: string;
  /** "none": loopback of its own, and nothing else. */
  network: "shared" | "none";
  /** Descriptor that the filter of system calls is read from. */
  seccomp: number | null;
  /** See {@link import("./rings.ts").InnerRing}. */
  inMemory: number;
}

/** Short, since the name of a socket must be. */
export const SERVER_FOLDER = "/run/isolated-ai-coder";

/** @returns arguments that go between the program and `--` */
export function outerRing(ring: OuterRing): string[] {
  return [
    // Process 1 ends with the one who started it, and all others with process 1.
    ...beginning(ring),
    // Left writable: where this one is not, the kernel lets no ring in it have a /proc of its own. Its user is not root.
    ...["--proc", "/proc", ...devices(ring.inMemory)],
    ...ring.shown.flatMap(show),
    ...ring.kept.flatMap(keep),
    ...ring.covered.flatMap(({ path, by }) => ["--ro-bind", by, path]),
    ...["--bind", ring.sockets, SERVER_FOLDER],
    ...["--remount-ro", "/run", "--remount-ro", "/"],
    ...["--chdir", ring.cwd],
  ];
}
