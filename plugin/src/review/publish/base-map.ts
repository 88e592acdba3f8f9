/** Where lines went when the base of a suggestion became another one. */
import { findChanges } from "../../vcs/find-changes.ts";
import type { Project } from "../../vcs/project.ts";
import type { PinnedRevision } from "../../vcs/publish.ts";
import type { RevisionRow } from "../ledger/suggestion-rows.ts";
import type { MapLine } from "./carry.ts";

/** How base lines of the previous revision map to those of the new one. */
export async function baseMap(
  project: Project,
  previous: RevisionRow,
  pinned: PinnedRevision,
): Promise<MapLine> {
  if (previous.base_tree === pinned.baseTree) return (_, line) => line;
  const { entries, hunks } = await findChanges(project.hub, previous.base_tree, pinned.baseTree, false);
  const touched = new Set(entries.flatMap((entry) => [entry.oldPath, entry.newPath]));
  const hunksOf = Map.groupBy(hunks, (hunk) => hunk.path);
  return (path, line, count) => {
    if (!touched.has(path)) return line;
    let shift = 0;
    for (const hunk of hunksOf.get(path) ?? []) {
      if (hunk.kind !== "text") return null;
      if (hunk.oldFrom + hunk.oldCount <= line) {
        // Text that moved in right at the place makes it another place.
        if (hunk.oldFrom + hunk.oldCount === line && count === 0) return null;
        shift += hunk.newCount - hunk.oldCount;
      } else if (hunk.oldFrom < line + Math.max(count, 1)) {
        return null;
      }
    }
    return line + shift;
  };
}
