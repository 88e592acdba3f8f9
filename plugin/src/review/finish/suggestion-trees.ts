/** The trees a suggestion stands for, from what the ledger holds. */
import type { Piece } from "../../diff/compose.ts";
import { linesOfDiff } from "../../diff/hunks.ts";
import type { HunkState } from "../../protocol/model.ts";
import type { Project } from "../../vcs/project.ts";
import { type WrittenCommit, writeComposed } from "../../vcs/trees.ts";
import { decisionOf, type HunkRow, standingHunks } from "../ledger/hunk-rows.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { entriesOf, getRevision, type SuggestionRow } from "../ledger/suggestion-rows.ts";

/** accepted: what the developer took. sandbox: that, and what is still undecided. */
export type Part = "accepted" | "sandbox" | "proposed";

const APPLIED: Record<Part, ReadonlySet<HunkState>> = {
  accepted: new Set(["accepted", "modified"]),
  sandbox: new Set(["accepted", "modified", "pending"]),
  proposed: new Set(["accepted", "modified", "pending", "rejected"]),
};

function toPiece(row: HunkRow, part: Part): Piece {
  const modified = part === "proposed" ? undefined : decisionOf(row)?.modified;
  return {
    entry: row.entry,
    group: row.members === null ? null : (JSON.parse(row.members) as number[]),
    kind: row.kind,
    oldFrom: row.old_from,
    oldCount: row.old_count,
    newFrom: row.new_from,
    applied: APPLIED[part].has(row.state),
    replacement:
      row.state === "modified" && modified !== undefined
        ? { from: modified.from, count: modified.count, text: Buffer.from(modified.text, "base64") }
        : null,
    text: () => linesOfDiff(row.diff).new,
  };
}

/** The pieces of a suggestion's current revision. */
export const piecesOf = (ledger: Ledger, suggestion: SuggestionRow, part: Part): Piece[] =>
  standingHunks(ledger, suggestion.id, suggestion.revision).map((row) => toPiece(row, part));

export interface TreeOptions {
  /** Another ref that keeps the commit. */
  keptBy?: string;
  message?: string;
  author?: string;
  committer?: string;
}

/** Writes a tree of the suggestion as a commit on its base, kept under a private ref of the hub. */
export function writeTree(
  ledger: Ledger,
  project: Project,
  suggestion: SuggestionRow,
  part: Part,
  options: TreeOptions = {},
): Promise<WrittenCommit> {
  const revision = getRevision(ledger, suggestion.id, suggestion.revision);
  return writeComposed(
    project.hub,
    revision.base_commit,
    entriesOf(revision),
    piecesOf(ledger, suggestion, part),
    {
      ref: `refs/review/${suggestion.id}/${part}`,
      parent: revision.base_commit,
      message: options.message ?? `${part} part of suggestion ${suggestion.id}\n`,
      author: options.author ?? revision.author,
      ...(options.keptBy === undefined ? {} : { keptBy: options.keptBy }),
      ...(options.committer === undefined ? {} : { committer: options.committer }),
    },
  );
}
