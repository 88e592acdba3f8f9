/** A revision in the ledger: what was pinned becomes rows, decisions on unchanged hunks are kept, and it is told. */
import { displayPath } from "../../diff/paths.ts";
import type { PublishResult } from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { EventBody } from "../../protocol/events.ts";
import type { Project } from "../../vcs/project.ts";
import type { PinnedRevision } from "../../vcs/publish.ts";
import {
  CARRIED,
  diffText,
  type HunkRow,
  inlineHunks,
  insertHunk,
  markOf,
  type NewHunk,
  partsOf,
  sidesText,
  standingHunks,
} from "../ledger/hunk-rows.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { writeProvenance } from "../ledger/provenance-rows.ts";
import { recordStanding } from "../ledger/settlements.ts";
import {
  getRevision,
  getSuggestion,
  nextStamp,
  type RevisionRow,
  type SuggestionRow,
  toSummary,
} from "../ledger/suggestion-rows.ts";
import { baseMap } from "./base-map.ts";
import { type Carried, carryDecisions, carryParts, type MapLine } from "./carry.ts";
import { type FoundProvenance, findProvenance } from "./provenance.ts";
import { suggestionAt } from "./stack.ts";

export interface PublishOptions {
  description: string;
  changeId?: string | undefined;
  session: string | null;
  requestId?: string | undefined;
  now: () => Date;
}

/** Writes a pinned revision, its hunks and its event into the ledger; knows nothing of the agent's repository. */
export async function recordRevision(
  ledger: Ledger,
  project: Project,
  pinned: PinnedRevision,
  suggestionId: string,
  options: PublishOptions,
  alsoWrite: ((answer: PublishResult) => void) | null = null,
): Promise<PublishResult> {
  const existing = findSuggestion(ledger, suggestionId);
  const previous = existing === null ? null : getRevision(ledger, suggestionId, existing.revision);
  checkWorthIt(pinned, previous);
  const mapLine = previous === null ? null : await baseMap(project, previous, pinned);
  const made = await provenanceOf(ledger, project, pinned, previous);
  const now = options.now();
  const branch = await project.sharedTip();
  const baseMoved =
    branch !== null &&
    branch.commit !== pinned.base &&
    (await project.hub.isAncestor(pinned.base, branch.commit));
  const warnings = baseMoved ? [...pinned.warnings, staleBase(pinned, branch)] : pinned.warnings;

  const published = await ledger.transactionWhenFree(() => {
    const current = findSuggestion(ledger, suggestionId);
    if (current !== null && current.state !== "open") {
      throw new ReviewError("suggestion_closed", `Suggestion ${suggestionId} was ${current.state} meanwhile`);
    }
    const n = (current?.revision ?? 0) + 1;
    const place = { suggestionId, revision: n, project: project.dir };
    const written =
      current === null || mapLine === null
        ? newHunks(ledger, pinned, place, null)
        : keptHunks(ledger, pinned, place, current.revision, mapLine);
    const rows = written.filter((row) => row.retired === "no");
    const head = suggestionRow(pinned, place, current, rows, {
      hub: project.hubName,
      description: options.description,
      session: options.session ?? current?.session ?? null,
      stacked_on: suggestionAt(
        ledger,
        project.dir,
        { commit: pinned.base, changeId: pinned.change.parentChanges[0] },
        suggestionId,
      ),
      base_moved: baseMoved ? 1 : 0,
      leave_needed: alsoWrite === null ? 0 : 1,
      updated_at: nextStamp(current?.updated_at ?? null, now),
    });
    const revision = revisionRow(pinned, place, rows, warnings, head.updated_at, made?.lastChange ?? 0);
    writeSuggestion(ledger, head);
    recordStanding(ledger, suggestionId, pinned.change.commit, head);
    writeRevision(ledger, revision);
    if (made !== null) writeProvenance(ledger, suggestionId, n, made.provenance);
    for (const row of written) insertHunk(ledger, row);
    if (rows.some((row) => row.state !== "pending"))
      recordCarried(ledger, suggestionId, n, revision.created_at);
    ledger.emit(project.dir, readyEvent(ledger, revision, rows, warnings), now);
    const answer: PublishResult = {
      suggestion_id: suggestionId,
      revision: n,
      hunk_count: rows.length,
      pending_count: countOf(rows, "pending"),
      files: filesOf(rows),
      warnings,
      feedback: [],
    };
    alsoWrite?.(answer);
    return answer;
  });
  project.memory?.tidy();
  return published;
}

/** Where the lines came from is told beside the review: that it cannot be found out stops no publish. */
async function provenanceOf(
  ledger: Ledger,
  project: Project,
  pinned: PinnedRevision,
  previous: RevisionRow | null,
): Promise<FoundProvenance | null> {
  try {
    const before = previous === null ? null : { suggestion: previous.suggestion, revision: previous.n };
    return await findProvenance(ledger, project, pinned, before);
  } catch (error) {
    project.memory?.failed(error);
    return null;
  }
}

const findSuggestion = (ledger: Ledger, id: string): SuggestionRow | null =>
  ledger.row<SuggestionRow>("SELECT * FROM suggestion WHERE id = ?", id);

const countOf = (rows: NewHunk[], state: NewHunk["state"]): number =>
  rows.filter((row) => row.state === state).length;

const filesOf = (rows: NewHunk[]): string[] => [...new Set(rows.map((row) => row.file))];

/** @throws ReviewError when this was published already, or holds nothing */
function checkWorthIt(pinned: PinnedRevision, previous: RevisionRow | null): void {
  if (
    previous !== null &&
    previous.commit_id === pinned.change.commit &&
    previous.base_commit === pinned.base
  ) {
    throw new ReviewError(
      "nothing_to_do",
      `This change is published already, as revision ${previous.n} of suggestion ${previous.suggestion}, and has not changed since`,
      {
        details: { suggestion_id: previous.suggestion, revision: previous.n },
      },
    );
  }
  if (pinned.hunks.length === 0) {
    throw new ReviewError("unpublishable", "The change holds nothing to review", {
      details: { reason: "empty" },
    });
  }
}

/** What a revision says of its suggestion that is not in what was pinned. */
type FromOutside = Pick<
  SuggestionRow,
  "hub" | "description" | "session" | "stacked_on" | "base_moved" | "leave_needed" | "updated_at"
>;

function suggestionRow(
  { change, base }: PinnedRevision,
  { suggestionId, revision, project }: Place,
  current: SuggestionRow | null,
  rows: NewHunk[],
  outside: FromOutside,
): SuggestionRow {
  return {
    ...outside,
    id: suggestionId,
    project,
    change_id: change.changeId,
    state: "open",
    revision,
    hunk_count: rows.length,
    accepted: countOf(rows, "accepted"),
    modified: countOf(rows, "modified"),
    rejected: countOf(rows, "rejected"),
    settled: change.commit,
    settled_parent: base,
    agent_commit: change.commit,
    settle_needed: rows.some((row) => row.state === "rejected" || row.state === "modified") ? "yes" : "no",
    settle_problem: null,
    discard_undone: 0,
    abandoned: null,
    finalizing: null,
    result: null,
    verify: null,
    created_at: current?.created_at ?? outside.updated_at,
  };
}

const revisionRow = (
  pinned: PinnedRevision,
  { suggestionId, revision }: Place,
  rows: NewHunk[],
  warnings: string[],
  at: string,
  lastChange: number,
): RevisionRow => ({
  suggestion: suggestionId,
  n: revision,
  base_commit: pinned.base,
  commit_id: pinned.change.commit,
  base_tree: pinned.baseTree,
  commit_tree: pinned.commitTree,
  author: pinned.change.author,
  entries: JSON.stringify(pinned.entries),
  warnings: JSON.stringify(warnings),
  files: JSON.stringify(filesOf(rows)),
  created_at: at,
  last_change: lastChange,
});

function readyEvent(
  ledger: Ledger,
  revision: RevisionRow,
  rows: NewHunk[],
  warnings: string[],
): Extract<EventBody, { type: "suggestion.ready" }> {
  const hunks = inlineHunks(rows);
  return {
    type: "suggestion.ready",
    suggestion: {
      ...toSummary(ledger, getSuggestion(ledger, revision.suggestion), revision),
      hunks: hunks ?? [],
      hunks_omitted: hunks === null,
      warnings,
    },
  };
}

/** Said to the agent in its answer and to the developer at the head of the review. */
function staleBase(pinned: PinnedRevision, branch: { ref: string; commit: string }): string {
  const [tip, change] = [branch.commit.slice(0, 12), pinned.change.changeId.slice(0, 12)];
  const name = branch.ref.replace(/^refs\/heads\//, "");
  return `The shared branch ${name} has gone on to ${tip}, past the base of this change (${pinned.base.slice(0, 12)}). Finalize rebases what merges cleanly; to publish on the new base, run "jj rebase -s ${change} -d ${tip}" and publish again.`;
}

interface Place {
  suggestionId: string;
  revision: number;
  project: string;
}

const newHunks = (
  ledger: Ledger,
  pinned: PinnedRevision,
  place: Place,
  carried: Carried[] | null,
): NewHunk[] => {
  const numbers = numbersInFile(pinned);
  return pinned.hunks.map((_, index) =>
    hunkRow(ledger, pinned, place, `${place.suggestionId}:${numbers[index]}`, index, carried?.[index]),
  );
};

/** Hunks of a further revision, with what was decided on those that are what they were. */
function keptHunks(
  ledger: Ledger,
  pinned: PinnedRevision,
  place: Place,
  previous: number,
  mapLine: MapLine,
): NewHunk[] {
  const before = standingHunks(ledger, place.suggestionId, previous);
  const found = newHunks(ledger, pinned, place, carryDecisions(before, pinned.hunks, mapLine, previous));
  const roots = splitHunks(ledger, place.suggestionId, previous);
  return found.flatMap((row) => {
    const parts = row.state !== "pending" || roots.length === 0 ? [] : carryParts(roots, row, mapLine);
    return parts.length === 0 ? [row] : [{ ...row, retired: "cut" as const }, ...parts];
  });
}

/** What a revision took over from the one before can be taken back like any other decision. */
function recordCarried(ledger: Ledger, suggestion: string, revision: number, at: string): void {
  const batch = ledger.insert(
    "INSERT INTO decision_batch (suggestion, revision, by, at) VALUES (?, ?, ?, ?)",
    suggestion,
    revision,
    CARRIED,
    at,
  );
  ledger.change(
    `INSERT INTO decision (batch, hunk, before_state, before, after_state, after)
     SELECT ?, key, 'pending', NULL, state, decision FROM standing_hunk
     WHERE suggestion = ? AND revision = ? AND state <> 'pending'`,
    batch,
    suggestion,
    revision,
  );
}

function hunkRow(
  ledger: Ledger,
  pinned: PinnedRevision,
  { suggestionId, revision, project }: Place,
  id: string,
  index: number,
  carried: Carried | undefined,
): NewHunk {
  const hunk = pinned.hunks[index] as PinnedRevision["hunks"][number];
  const entry = pinned.entries[hunk.entry] as PinnedRevision["entries"][number];
  const file = displayPath(hunk.path);
  const state = carried?.state ?? "pending";
  const earlier =
    carried?.earlier ?? (state === "pending" ? rejectedBefore(ledger, project, hunk.digest) : null);
  return {
    suggestion: suggestionId,
    revision,
    id,
    position: index,
    entry: hunk.entry,
    members: hunk.group === null ? null : JSON.stringify(hunk.group),
    kind: hunk.kind,
    file,
    path: hunk.path,
    old_path: entry.oldPath === null ? null : displayPath(entry.oldPath),
    old_mode: entry.oldMode,
    new_mode: entry.newMode,
    digest: hunk.digest,
    old_from: hunk.oldFrom,
    old_count: hunk.oldCount,
    new_from: hunk.newFrom,
    new_count: hunk.newCount,
    context_before: hunk.contextBefore,
    context_after: hunk.contextAfter,
    encoding: hunk.encoding,
    atomic_reason: hunk.atomicReason,
    sides: sidesText(hunk.sides),
    diff: hunk.diff,
    split_from: null,
    retired: "no",
    state,
    decision: carried?.decision ? JSON.stringify(carried.decision) : null,
    earlier: earlier === null ? null : JSON.stringify(earlier),
    comments: null,
  };
}

/**
 * `<file>:<index>` of each hunk. Counted by the file as it is shown: a name that is not UTF-8 is shown quoted, and
 * another file may really be called that.
 */
function numbersInFile(pinned: PinnedRevision): string[] {
  const next = new Map<string, number>();
  return pinned.hunks.map(({ path }) => {
    const file = displayPath(path);
    const index = next.get(file) ?? 0;
    next.set(file, index + 1);
    return `${file}:${index}`;
  });
}

/** Hunks of a revision that were split, each with all that is below it. */
function splitHunks(
  ledger: Ledger,
  suggestion: string,
  revision: number,
): { root: HunkRow; parts: HunkRow[] }[] {
  const below = (row: HunkRow): HunkRow[] => partsOf(ledger, row).flatMap((part) => [part, ...below(part)]);
  return ledger
    .rows<HunkRow>(
      "SELECT * FROM reviewed_hunk WHERE suggestion = ? AND revision = ? AND retired = 'cut' AND split_from IS NULL",
      suggestion,
      revision,
    )
    .map((root) => ({ root, parts: below(root) }));
}

/** The same content was rejected before in this project: when and why. */
function rejectedBefore(ledger: Ledger, project: string, digest: string): Carried["earlier"] {
  const row = ledger.row<HunkRow>(
    `SELECT reviewed_hunk.* FROM hunk_state JOIN reviewed_hunk ON reviewed_hunk.key = hunk_state.hunk
     JOIN suggestion ON suggestion.id = reviewed_hunk.suggestion
     WHERE hunk_state.mark = ? AND hunk_state.state = 'rejected' AND digest = ? AND suggestion.project = ?
     ORDER BY suggestion.updated_at DESC LIMIT 1`,
    markOf(digest),
    digest,
    project,
  );
  if (row === null) return null;
  const comment =
    row.decision === null ? undefined : (JSON.parse(row.decision) as { comment?: string }).comment;
  return { revision: row.revision, ...(comment === undefined ? {} : { comment }), diff: diffText(row) };
}

function writeSuggestion(ledger: Ledger, row: SuggestionRow): void {
  const columns = Object.keys(row);
  const updates = columns.filter((column) => column !== "id" && column !== "created_at");
  ledger.change(
    `INSERT INTO suggestion (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})
     ON CONFLICT (id) DO UPDATE SET ${updates.map((column) => `${column} = excluded.${column}`).join(", ")}`,
    ...Object.values(row),
  );
}

function writeRevision(ledger: Ledger, row: RevisionRow): void {
  const columns = Object.keys(row);
  ledger.change(
    `INSERT INTO revision (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
    ...Object.values(row),
  );
}
