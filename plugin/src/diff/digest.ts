/**
 * The digest names the exact text a decision is made on. Clients compute it again from what they show, so its
 * definition is part of the protocol:
 *
 *   SHA-256 of  "hunk v1\n" kind "\n" <path bytes> ":" path "\n" <old bytes> ":" old "\n" <new bytes> ":" new
 *
 * with lengths as decimal byte counts; `path` is the path after the change (before it, for a deletion); `old` and
 * `new` are, in bytes as in the file,
 *   text             the base lines and the lines that replace them
 *   create, delete   "" and the file's content, or the content and "", after `mode "\n"` on the side that exists
 *   rename           the path before and the path after
 *   mode             the mode before and after, e.g. "100644"
 *   all others       `mode " " object-id` of each side, "" where there is none; for a swap one such line with
 *                    `" " path "\n"` for each file
 * A created or deleted file that cannot be shown as text counts among the others, as kind "create" or "delete"
 * with `mode " " object-id`.
 */
import type { HunkKind } from "../protocol/model.ts";
import type { RawPath } from "./paths.ts";

/** Filled and hashed at once, over and over: a big suggestion has ten thousand of these. */
let scratch = Buffer.alloc(64 * 1024);

export function hunkDigest(kind: HunkKind, path: RawPath, before: Uint8Array, after: Uint8Array): string {
  // A raw path has one character for each byte.
  const head = `hunk v1\n${kind}\n${path.length}:${path}\n${before.length}:`;
  const middle = `\n${after.length}:`;
  const length = head.length + before.length + middle.length + after.length;
  if (length > scratch.length) scratch = Buffer.alloc(2 * length);
  let at = scratch.write(head, 0, "latin1");
  scratch.set(before, at);
  at += before.length;
  at += scratch.write(middle, at, "latin1");
  scratch.set(after, at);
  return Bun.CryptoHasher.hash("sha256", scratch.subarray(0, length), "hex");
}
