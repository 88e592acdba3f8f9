/** What was decided before, and why: of all suggestions of a project, whatever became of them. */
import type { DecisionsPage, DecisionsQuery } from "../protocol/queries.ts";
import { fromCursor, toCursor } from "./cursor.ts";
import { decisionOf, type HunkRow } from "./ledger/hunk-rows.ts";
import type { Ledger } from "./ledger/ledger.ts";

/** Characters of a diff that are shown: enough to know it again. */
const DIFF_SHOWN = 4000;

type Row = Pick<HunkRow, "key" | "suggestion" | "id" | "file" | "diff" | "decision"> & {
  state: "accepted" | "modified" | "rejected";
  description: string;
};

/** @param project null for all */
export function decisions(ledger: Ledger, project: string | null, query: DecisionsQuery): DecisionsPage {
  const { condition, values } = conditionOf(project, query);
  const rows = ledger.rows<Row>(
    `SELECT hunk.key, hunk.suggestion, hunk.id, hunk.file, hunk.diff, hunk_state.state, hunk_state.decision,
       suggestion.description
     FROM hunk_state JOIN hunk ON hunk.key = hunk_state.hunk JOIN suggestion ON suggestion.id = hunk.suggestion
     WHERE ${condition} ORDER BY hunk_state.decision ->> 'at' DESC, hunk.key DESC LIMIT ?`,
    ...values,
    query.limit + 1,
  );
  const shown = rows.slice(0, query.limit);
  const last = shown.at(-1);
  return {
    decisions: shown.map(remembered),
    next_cursor:
      last !== undefined && rows.length > shown.length
        ? toCursor([decisionOf(last)?.at ?? "", last.key])
        : null,
  };
}

function remembered(row: Row): DecisionsPage["decisions"][number] {
  const decision = decisionOf(row);
  return {
    suggestion_id: row.suggestion,
    description: row.description.split("\n", 1)[0] ?? "",
    hunk_id: row.id,
    file: row.file,
    state: row.state,
    by: decision?.by ?? "developer",
    at: decision?.at ?? "",
    ...(decision?.comment === undefined ? {} : { comment: decision.comment }),
    diff: Buffer.from(row.diff).toString("utf8").slice(0, DIFF_SHOWN),
    ...(decision?.modified === undefined
      ? {}
      : { modified_diff: decision.modified.diff.slice(0, DIFF_SHOWN) }),
  };
}

/** What a revision took over is remembered once, where it was decided. */
function conditionOf(
  project: string | null,
  query: DecisionsQuery,
): { condition: string; values: (string | number)[] } {
  const where = [
    "hunk.retired = 'no'",
    "hunk_state.decision ->> 'carried_from' IS NULL",
    "(hunk_state.decision ->> 'comment' IS NOT NULL OR hunk_state.state = 'modified')",
    "hunk_state.state <> 'pending'",
  ];
  const values: (string | number)[] = [];
  const add = (condition: string, ...given: (string | number)[]): void => {
    where.push(condition);
    values.push(...given);
  };
  if (project !== null) add("suggestion.project = ?", project);
  if (query.state !== undefined) add("hunk_state.state = ?", query.state);
  if (query.since !== undefined)
    add("hunk_state.decision ->> 'at' >= ?", new Date(query.since).toISOString());
  if (query.file !== undefined) {
    const directory = `${query.file.replace(/\/+$/, "")}/`;
    add("(hunk.file = ? OR substr(hunk.file, 1, length(?)) = ?)", query.file, directory, directory);
  }
  if (query.text !== undefined) {
    const said = [
      "hunk_state.decision ->> 'comment'",
      "CAST(hunk.diff AS TEXT)",
      "hunk_state.decision ->> '$.modified.diff'",
    ];
    add(
      `(${said.map((text) => `instr(lower(coalesce(${text}, '')), lower(?)) > 0`).join(" OR ")})`,
      ...said.map(() => query.text as string),
    );
  }
  if (query.cursor !== undefined)
    add(
      "(hunk_state.decision ->> 'at', hunk.key) < (?, ?)",
      ...fromCursor<readonly [string, number]>(query.cursor, ["", 0]),
    );
  return { condition: where.join(" AND "), values };
}
