/**
 * Whether a hub still holds what is under review, and how what is missing comes back from the agent's repository: jj
 * keeps commits that nobody names any more, so that a hub which was lost can be made anew.
 */
import { toLatin1 } from "../diff/bytes.ts";
import type { Git } from "./git.ts";

/** Of these object ids, those that the repository does not have. */
export async function missingObjects(git: Git, ids: readonly string[]): Promise<string[]> {
  const wanted = [...new Set(ids)];
  if (wanted.length === 0) return [];
  const { stdout } = await git.run(["cat-file", "--batch-check=%(objectname)", "--buffer"], {
    input: `${wanted.join("\n")}\n`,
  });
  return toLatin1(stdout)
    .split("\n")
    .flatMap((line) => (line.endsWith(" missing") ? [line.slice(0, -" missing".length)] : []));
}

/**
 * Copies commits with everything below them, whatever the hub believes to have: a fetch asks for nothing below a commit
 * that is there, though its objects may not be.
 *
 * @throws ReviewError when the other repository lacks something, too
 */
export async function refill(hub: Git, from: Git, commits: readonly string[]): Promise<void> {
  const { stdout } = await from.run(["pack-objects", "--revs", "--stdout", "--quiet"], {
    input: `${commits.join("\n")}\n`,
    timeout: 600_000,
  });
  await hub.run(["index-pack", "--stdin", "--fix-thin"], { input: stdout, timeout: 600_000 });
}
