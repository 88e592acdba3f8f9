/** Publishing: a change of the agent's repository becomes a suggestion, or a new revision of one. */
import { v7 as uuid } from "uuid";
import { displayPath } from "../diff/paths.ts";
import { ReviewError } from "../protocol/errors.ts";
import type { Hunk } from "../protocol/model.ts";
import { findChanges } from "../vcs/find-changes.ts";
import type { Change } from "../vcs/jj.ts";
import { leaveChange, type PinnedRevision, pin, pinChange } from "../vcs/publish.ts";
import { type Carried, carryDecisions, carryParts, type MapLine } from "./carry.ts";
import type { PublishResult } from "./contract.ts";
import {
  CARRIED,
  diffText,
  type HunkRow,
  insertHunk,
  markOf,
  type NewHunk,
  partsOf,
  standingHunks,
  toHunk,
} from "./hunk-rows.ts";
import type { Ledger } from "./ledger.ts";
import type { Project } from "./project.ts";
import { answered, recordAnswer } from "./request-ids.ts";
import {
  getRevision,
  getSuggestion,
  nextStamp,
  type RevisionRow,
  type SuggestionRow,
  toSummary,
} from "./rows.ts";

/** Hunks travel with the event up to this many bytes of JSON; beyond, clients page through them. */
const INLINE_HUNKS_BYTES = 256 * 1024;

export interface PublishOptions {
  description: string;
  changeId?: string | undefined;
  session: string | null;
  requestId?: string | undefined;
  now: () => Date;
}

/** The open suggestion of a change, if there is one. */
const openOf = (ledger: Ledger, project: string, changeId: string): SuggestionRow | null =>
  ledger.row<SuggestionRow>(
    "SELECT * FROM suggestion WHERE project = ? AND change_id = ? AND state = 'open' ORDER BY created_at DESC LIMIT 1",
    project,
    changeId,
  );

/** Publishes what the agent names, then moves its working copy to a new change. */
export async function publish(
  ledger: Ledger,
  project: Project,
  options: PublishOptions,
): Promise<PublishResult> {
  const request = {
    description: options.description,
    change_id: options.changeId,
    request_id: options.requestId,
  };
  const before = answered<PublishResult>(ledger, "publish", request);
  if (before !== null) return before;
  return project.exclusively(async () => {
    // The same request may have come twice at once, and waited here for the first.
    const meanwhile = answered<PublishResult>(ledger, "publish", request);
    if (meanwhile !== null) return meanwhile;
    let suggestionId = uuid();
    const pinned = await pin(
      project.jj,
      project.hub,
      { changeId: options.changeId, description: options.description },
      (change) => {
        const open = openOf(ledger, project.dir, change.changeId);
        if (open !== null) suggestionId = open.id;
        return `refs/review/${suggestionId}/${(open?.revision ?? 0) + 1}`;
      },
    );
    const result = await recordRevision(ledger, project, pinned, suggestionId, options, (answer) =>
      recordAnswer(ledger, "publish", request, answer),
    );
    await leavePublished(ledger, project, pinned.change, result.suggestion_id);
    return result;
  });
}

async function leavePublished(
  ledger: Ledger,
  project: Project,
  change: { commit: string },
  suggestionId: string,
): Promise<void> {
  await leaveChange(project.jj, change);
  ledger.change("UPDATE suggestion SET leave_needed = 0 WHERE id = ?", suggestionId);
}

/** Finishes publishes that a crash interrupted after they were recorded. Returns what was done. */
export async function resumePublishes(ledger: Ledger, project: Project): Promise<string[]> {
  const rows = ledger.rows<SuggestionRow>(
    "SELECT * FROM suggestion WHERE project = ? AND leave_needed = 1",
    project.dir,
  );
  for (const row of rows) await leavePublished(ledger, project, { commit: row.agent_commit }, row.id);
  return rows.map((row) => `moved the agent's working copy off the published change of suggestion ${row.id}`);
}

/** Publishes a new revision of an open suggestion from what its change is now, without anyone having asked. */
export async function republish(
  ledger: Ledger,
  project: Project,
  suggestion: SuggestionRow,
  change: Change,
  now: () => Date,
): Promise<PublishResult> {
  const ref = `refs/review/${suggestion.id}/${suggestion.revision + 1}`;
  const pinned = await pinChange(project.jj, project.hub, change, ref);
  return recordRevision(ledger, project, pinned, suggestion.id, {
    description: suggestion.description,
    session: suggestion.session,
    now,
  });
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
  const existing = ledger.row<SuggestionRow>("SELECT * FROM suggestion WHERE id = ?", suggestionId);
  const previous = existing === null ? null : getRevision(ledger, suggestionId, existing.revision);
  if (
    previous !== null &&
    previous.commit_id === pinned.change.commit &&
    previous.base_commit === pinned.base
  ) {
    throw new ReviewError(
      "nothing_to_do",
      `This change is published already, as revision ${previous.n} of suggestion ${suggestionId}, and has not changed since`,
      {
        details: { suggestion_id: suggestionId, revision: previous.n },
      },
    );
  }
  if (pinned.hunks.length === 0) {
    throw new ReviewError("unpublishable", "The change holds nothing to review", {
      details: { reason: "empty" },
    });
  }
  const mapLine = previous === null ? null : await baseMap(project, previous, pinned);
  const now = options.now();
  const branch = await project.sharedTip();
  const baseMoved =
    branch !== null &&
    branch.commit !== pinned.base &&
    (await project.hub.isAncestor(pinned.base, branch.commit));

  return ledger.transaction(() => {
    const current = ledger.row<SuggestionRow>("SELECT * FROM suggestion WHERE id = ?", suggestionId);
    if (current !== null && current.state !== "open") {
      throw new ReviewError("suggestion_closed", `Suggestion ${suggestionId} was ${current.state} meanwhile`);
    }
    const n = (current?.revision ?? 0) + 1;
    const carried =
      current === null || mapLine === null
        ? null
        : carryDecisions(
            standingHunks(ledger, suggestionId, current.revision),
            pinned.hunks,
            mapLine,
            current.revision,
          );
    const numbers = numbersInFile(pinned);
    const found = pinned.hunks.map((_, index) =>
      hunkRow(
        ledger,
        project,
        pinned,
        `${suggestionId}:${numbers[index]}`,
        suggestionId,
        n,
        index,
        carried?.[index],
      ),
    );
    const roots =
      current === null || mapLine === null ? [] : splitHunks(ledger, suggestionId, current.revision);
    const written = found.flatMap((row) => {
      const parts =
        mapLine === null || row.state !== "pending" || roots.length === 0
          ? []
          : carryParts(roots, row, mapLine);
      return parts.length === 0 ? [row] : [{ ...row, retired: 1 }, ...parts];
    });
    const rows = written.filter((row) => row.retired === 0);
    const files = [...new Set(rows.map((row) => row.file))];
    const count = (state: NewHunk["state"]) => rows.filter((row) => row.state === state).length;
    const at = nextStamp(current?.updated_at ?? null, now);
    const stackedOn = lowerSuggestion(ledger, project.dir, pinned.base, suggestionId);
    const head: SuggestionRow = {
      id: suggestionId,
      project: project.dir,
      hub: project.hubName,
      change_id: pinned.change.changeId,
      description: options.description,
      state: "open",
      revision: n,
      hunk_count: rows.length,
      accepted: count("accepted"),
      modified: count("modified"),
      rejected: count("rejected"),
      session: options.session ?? current?.session ?? null,
      stacked_on: stackedOn,
      base_moved: baseMoved ? 1 : 0,
      settled: pinned.change.commit,
      settled_parent: pinned.base,
      agent_commit: pinned.change.commit,
      settle_needed: rows.some((row) => row.state === "rejected" || row.state === "modified") ? 1 : 0,
      leave_needed: alsoWrite === null ? 0 : 1,
      finalizing: null,
      result: null,
      verify: null,
      created_at: current?.created_at ?? at,
      updated_at: at,
    };
    writeSuggestion(ledger, head);
    const revision: RevisionRow = {
      suggestion: suggestionId,
      n,
      base_commit: pinned.base,
      commit_id: pinned.change.commit,
      base_tree: pinned.baseTree,
      commit_tree: pinned.commitTree,
      author: pinned.change.author,
      entries: JSON.stringify(pinned.entries),
      warnings: JSON.stringify(pinned.warnings),
      files: JSON.stringify(files),
      created_at: at,
    };
    const columns = Object.keys(revision);
    ledger.change(
      `INSERT INTO revision (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
      ...Object.values(revision),
    );
    for (const row of written) insertHunk(ledger, row);
    if (rows.some((row) => row.state !== "pending")) recordCarried(ledger, suggestionId, n, at);

    const hunks = inlineHunks(rows);
    ledger.emit(
      project.dir,
      {
        type: "suggestion.ready",
        suggestion: {
          ...toSummary(ledger, getSuggestion(ledger, suggestionId), revision),
          hunks: hunks ?? [],
          hunks_omitted: hunks === null,
          warnings: pinned.warnings,
        },
      },
      now,
    );
    const answer: PublishResult = {
      suggestion_id: suggestionId,
      revision: n,
      hunk_count: rows.length,
      pending_count: count("pending"),
      files,
      warnings: pinned.warnings,
      feedback: [],
    };
    alsoWrite?.(answer);
    return answer;
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
     SELECT ?, key, 'pending', NULL, state, decision FROM reviewed_hunk
     WHERE suggestion = ? AND revision = ? AND retired = 0 AND state <> 'pending'`,
    batch,
    suggestion,
    revision,
  );
}

function hunkRow(
  ledger: Ledger,
  project: Project,
  pinned: PinnedRevision,
  id: string,
  suggestionId: string,
  revision: number,
  index: number,
  carried: Carried | undefined,
): NewHunk {
  const hunk = pinned.hunks[index] as PinnedRevision["hunks"][number];
  const entry = pinned.entries[hunk.entry] as PinnedRevision["entries"][number];
  const file = displayPath(hunk.path);
  const state = carried?.state ?? "pending";
  const earlier =
    carried?.earlier ?? (state === "pending" ? rejectedBefore(ledger, project.dir, hunk.digest) : null);
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
    diff: hunk.diff,
    split_from: null,
    retired: 0,
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
      "SELECT * FROM reviewed_hunk WHERE suggestion = ? AND revision = ? AND retired = 1 AND split_from IS NULL",
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

function lowerSuggestion(ledger: Ledger, project: string, base: string, self: string): string | null {
  return (
    ledger.row<{ id: string }>(
      `SELECT suggestion.id AS id FROM suggestion LEFT JOIN revision ON revision.suggestion = suggestion.id
       WHERE project = ? AND suggestion.state = 'open' AND suggestion.id <> ? AND (agent_commit = ? OR commit_id = ?) LIMIT 1`,
      project,
      self,
      base,
      base,
    )?.id ?? null
  );
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

export function inlineHunks(rows: NewHunk[]): Hunk[] | null {
  let bytes = 0;
  for (const row of rows) {
    bytes += row.diff.length + 600 + row.file.length * 3;
    if (bytes > INLINE_HUNKS_BYTES) return null;
  }
  const hunks = rows.map(toHunk);
  return JSON.stringify(hunks).length > 2 * INLINE_HUNKS_BYTES ? null : hunks;
}

/** How base lines of the previous revision map to those of the new one. */
async function baseMap(project: Project, previous: RevisionRow, pinned: PinnedRevision): Promise<MapLine> {
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
