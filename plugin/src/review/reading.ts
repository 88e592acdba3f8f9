/** Use cases that only read: lists, pages, file contents, patches. */

import { type RawPath, rawFromText } from "../diff/paths.ts";
import { ReviewError } from "../protocol/errors.ts";
import type { Suggestion } from "../protocol/model.ts";
import type {
  ContentChunk,
  ContentQuery,
  HunkPage,
  HunksQuery,
  ListQuery,
  PatchQuery,
} from "../protocol/queries.ts";
import { PAGE_BYTES } from "../protocol/sizes.ts";
import { EMPTY_TREE } from "../vcs/git.ts";
import type { Project } from "../vcs/project.ts";
import type { ReviewDesk } from "./contract.ts";
import { fromCursor, toCursor } from "./cursor.ts";
import { writeTree } from "./finish/suggestion-trees.ts";
import { type HunkRow, inlineHunks, standingHunks, toHunk } from "./ledger/hunk-rows.ts";
import type { Ledger } from "./ledger/ledger.ts";
import {
  entriesOf,
  getRevision,
  getSuggestion,
  type ShownOfRevision,
  type SuggestionRow,
  toSummary,
} from "./ledger/suggestion-rows.ts";

export function list(ledger: Ledger, query: ListQuery): ReturnType<ReviewDesk["list"]> {
  const filter = listFilter(query);
  // One statement for all of them, and of the revision only what a summary shows.
  const from = `FROM suggestion
     JOIN revision AS shown ON shown.suggestion = suggestion.id AND shown.n = suggestion.revision
     WHERE ${filter.condition}`;
  const total = ledger.row<{ n: number }>(`SELECT count(*) AS n ${from}`, ...filter.values)?.n ?? 0;
  const after = query.cursor === undefined ? null : fromCursor<readonly string[]>(query.cursor, ["", ""]);
  const rows = ledger.rows<SuggestionRow & ShownOfRevision>(
    `SELECT suggestion.*, shown.files, shown.base_commit, shown.commit_id ${from}
     ${after === null ? "" : "AND (suggestion.created_at, suggestion.id) > (?, ?)"}
     ORDER BY suggestion.created_at, suggestion.id LIMIT ? OFFSET ?`,
    ...filter.values,
    ...(after ?? []),
    query.limit,
    after === null ? query.offset : 0,
  );
  return { suggestions: rows.map((row) => toSummary(ledger, row, row)), total };
}

/** Where the list goes on behind this suggestion. */
export const listCursor = (last: { created_at: string; id: string }): string =>
  toCursor([last.created_at, last.id]);

function listFilter(query: ListQuery): { condition: string; values: string[] } {
  const where = ["1 = 1"];
  const values: string[] = [];
  const add = (condition: string, ...given: string[]) => {
    where.push(condition);
    values.push(...given);
  };
  const state = query.state ?? query.status;
  if (state !== "all") add("suggestion.state = ?", state);
  if (query.project !== undefined) add("suggestion.project = ?", query.project);
  if (query.text !== undefined) add("instr(lower(suggestion.description), lower(?)) > 0", query.text);
  if (query.updated_since !== undefined)
    add("suggestion.updated_at >= ?", new Date(query.updated_since).toISOString());
  if (query.file !== undefined) {
    const directory = `${query.file.replace(/\/+$/, "")}/`;
    add(
      "EXISTS (SELECT 1 FROM json_each(shown.files) WHERE value = ? OR substr(value, 1, length(?)) = ?)",
      query.file,
      directory,
      directory,
    );
  }
  return { condition: where.join(" AND "), values };
}

export function get(ledger: Ledger, id: string): Suggestion {
  const row = getSuggestion(ledger, id);
  const revision = getRevision(ledger, id, row.revision);
  const hunks = row.hunk_count > 2000 ? null : inlineHunks(standingHunks(ledger, id, row.revision));
  return {
    ...toSummary(ledger, row, revision),
    hunks: hunks ?? [],
    hunks_omitted: hunks === null,
    file_summaries: ledger.rows<Suggestion["file_summaries"][number]>(
      `SELECT file, count(*) AS hunk_count, sum(state <> 'pending') AS reviewed_count, sum(new_count) AS added, sum(old_count) AS removed
       FROM standing_hunk WHERE suggestion = ? AND revision = ? GROUP BY file ORDER BY min(position)`,
      id,
      row.revision,
    ),
    warnings: JSON.parse(revision.warnings) as string[],
    verify: row.verify === null ? null : (JSON.parse(row.verify) as Suggestion["verify"]),
  };
}

export function hunks(ledger: Ledger, id: string, query: HunksQuery): HunkPage {
  const row = getSuggestion(ledger, id);
  const where = ["suggestion = ?", "revision = ?"];
  const values: (string | number)[] = [id, row.revision];
  for (const column of ["file", "state"] as const) {
    const value = query[column];
    if (value === undefined) continue;
    where.push(`${column} = ?`);
    values.push(value);
  }
  const condition = where.join(" AND ");
  const total =
    ledger.row<{ n: number }>(`SELECT count(*) AS n FROM standing_hunk WHERE ${condition}`, ...values)?.n ??
    0;
  const page: HunkPage = {
    suggestion_id: id,
    revision: row.revision,
    offset: query.offset,
    hunks: [],
    total,
    next: null,
    next_cursor: null,
  };
  let after = query.cursor === undefined ? null : fromCursor<readonly number[]>(query.cursor, [0, 0, 0, 0]);
  let bytes = 0;
  let more = true;
  // Read in small steps: a page may end long before its limit.
  while (more && page.hunks.length < query.limit) {
    const limit = Math.min(50, query.limit - page.hunks.length);
    const rows = ledger.rows<HunkRow>(
      `SELECT * FROM standing_hunk WHERE ${condition}
       ${after === null ? "" : "AND (position, old_from, new_from, key) > (?, ?, ?, ?)"}
       ORDER BY position, old_from, new_from, key LIMIT ? OFFSET ?`,
      ...values,
      ...(after ?? []),
      limit,
      after === null ? query.offset : 0,
    );
    more = rows.length === limit;
    for (const hunk of rows) {
      const shown = toHunk(hunk);
      bytes += Buffer.byteLength(JSON.stringify(shown)) + 1;
      if (bytes > PAGE_BYTES && page.hunks.length > 0) return endPage(page, after, query);
      page.hunks.push(shown);
      after = [hunk.position, hunk.old_from, hunk.new_from, hunk.key];
    }
  }
  const isLast =
    ledger.row(
      `SELECT 1 FROM standing_hunk WHERE ${condition} AND (position, old_from, new_from, key) > (?, ?, ?, ?)`,
      ...values,
      ...(after ?? [-1, -1, -1, -1]),
    ) === null;
  return page.hunks.length === 0 || isLast ? page : endPage(page, after, query);
}

/** A page that others follow. An offset counts from the list's begin, which a page by cursor does not know. */
function endPage(page: HunkPage, after: readonly number[] | null, query: HunksQuery): HunkPage {
  page.next_cursor = after === null ? null : toCursor(after);
  page.next = query.cursor === undefined ? query.offset + page.hunks.length : null;
  return page;
}

/** Tree of one side of a suggestion. */
async function treeOfSide(
  ledger: Ledger,
  project: Project,
  row: SuggestionRow,
  side: ContentQuery["side"],
): Promise<string> {
  const revision = getRevision(ledger, row.id, row.revision);
  if (side === "base") return revision.base_tree;
  if (side === "proposed") return revision.commit_tree;
  return (await writeTree(ledger, project, row, side)).tree;
}

export async function content(
  ledger: Ledger,
  project: Project,
  id: string,
  query: ContentQuery,
): Promise<ContentChunk> {
  const row = getSuggestion(ledger, id);
  const tree = await treeOfSide(ledger, project, row, query.side);
  const candidates = pathsOf(ledger, row, query.file);
  for (const path of query.side === "base" ? candidates.reverse() : candidates) {
    const found = await project.hub.readPath(tree, path);
    if (found === null) continue;
    const slice = found.bytes.subarray(query.offset, query.offset + query.limit);
    const end = query.offset + slice.length;
    return {
      file: query.file,
      side: query.side,
      exists: true,
      mode: found.mode,
      size: found.bytes.length,
      offset: query.offset,
      base64: Buffer.from(slice).toString("base64"),
      next: end < found.bytes.length ? end : null,
    };
  }
  return {
    file: query.file,
    side: query.side,
    exists: false,
    mode: null,
    size: 0,
    offset: 0,
    base64: "",
    next: null,
  };
}

/** Raw paths that a displayed path can mean: the one it has now, then the one it had. */
function pathsOf(ledger: Ledger, row: SuggestionRow, file: string): RawPath[] {
  const hunk = ledger.row<Pick<HunkRow, "entry" | "path">>(
    "SELECT entry, path FROM hunk WHERE suggestion = ? AND revision = ? AND file = ? LIMIT 1",
    row.id,
    row.revision,
    file,
  );
  if (hunk === null) return [rawFromText(file)];
  const entry = entriesOf(getRevision(ledger, row.id, row.revision))[hunk.entry];
  return [...new Set([hunk.path, entry?.oldPath ?? hunk.path])];
}

/** A patch that `git apply` takes, renames and binary content included. */
export async function patch(
  ledger: Ledger,
  project: Project,
  id: string,
  query: PatchQuery,
): Promise<Uint8Array> {
  const row = getSuggestion(ledger, id);
  const [from, to] = await Promise.all(
    query.part === "accepted"
      ? [treeOfSide(ledger, project, row, "base"), treeOfSide(ledger, project, row, "accepted")]
      : query.part === "pending"
        ? [treeOfSide(ledger, project, row, "accepted"), treeOfSide(ledger, project, row, "sandbox")]
        : [treeOfSide(ledger, project, row, "base"), treeOfSide(ledger, project, row, "proposed")],
  );
  if (from === undefined || to === undefined)
    throw new ReviewError("internal", "A side of the patch is missing");
  const { stdout } = await project.hub.run([
    `--attr-source=${EMPTY_TREE}`,
    "diff-tree",
    "-r",
    "-p",
    "--binary",
    "--full-index",
    "-M",
    "--no-ext-diff",
    "--no-textconv",
    from,
    to,
  ]);
  return stdout;
}
