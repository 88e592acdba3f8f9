/** Which decisions a settle could not bring into the agent's change, and how the agent is told. */
import type { HeldHunk } from "../../vcs/partial.ts";
import { decisionOf, type HunkRow, standingHunks } from "../ledger/hunk-rows.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { SuggestionRow } from "../ledger/suggestion-rows.ts";

/** Lines of a hunk in the tree that the suggestion stands for. */
interface Placed {
  row: HunkRow;
  from: number;
  count: number;
}

/** Where each hunk of one file is in the composed tree: base lines, moved by what the hunks before it add and take. */
function placed(rows: HunkRow[], isIn: (row: HunkRow) => boolean): Placed[] {
  let shift = 0;
  return rows.map((row) => {
    const modified = row.state === "modified" ? decisionOf(row)?.modified : undefined;
    const old = modified ?? { from: row.old_from, count: row.old_count };
    const lines =
      modified === undefined
        ? isIn(row)
          ? row.new_count
          : row.old_count
        : Buffer.from(modified.text, "base64").toString("latin1").split("\n").length - 1;
    const place = { row, from: old.from + shift, count: lines };
    shift += lines - old.count;
    return place;
  });
}

/** @param part what the suggestion was composed of: without pending hunks once it was discarded */
export function heldRows(
  ledger: Ledger,
  suggestion: SuggestionRow,
  part: "accepted" | "sandbox",
  held: HeldHunk[],
): HunkRow[] {
  const out = new Set(part === "sandbox" ? ["rejected"] : ["rejected", "pending"]);
  const rows = standingHunks(ledger, suggestion.id, suggestion.revision);
  const found = new Set<HunkRow>();
  for (const [file, own] of Map.groupBy(rows, (row) => row.file)) {
    const mine = held.filter((hunk) => hunk.file === file);
    if (mine.length === 0) continue;
    const places = placed(own, (row) => !out.has(row.state));
    for (const { row, from, count } of places) {
      if (!out.has(row.state) && row.state !== "modified") continue;
      const isHeld = mine.some(
        (hunk) =>
          hunk.kind !== "text" ||
          row.kind !== "text" ||
          (from <= hunk.newFrom + hunk.newCount && hunk.newFrom <= from + count),
      );
      if (isHeld) found.add(row);
    }
  }
  return [...found];
}

const PLACES_SHOWN = 40;

const placeOf = (row: HunkRow): string =>
  `${JSON.stringify(row.file)}${row.kind === "text" ? ` at line ${row.old_from + 1}` : ` (${row.kind})`}`;

function list(rows: HunkRow[]): string {
  const shown = rows.slice(0, PLACES_SHOWN).map(placeOf).join("; ");
  return rows.length > PLACES_SHOWN ? `${shown}; and ${rows.length - PLACES_SHOWN} more` : shown;
}

/**
 * What the agent has to know and do.
 * @param rest whether anything else that was decided is in the change now
 */
export function heldText(change: string, rows: HunkRow[], message: string, rest: boolean): string {
  const out = rows.filter((row) => row.state !== "modified");
  const modified = rows.filter((row) => row.state === "modified");
  const short = change.slice(0, 12);
  const places = [
    ...(out.length === 0 ? [] : [`Not taken out of your change ${short}: ${list(out)}.`]),
    ...(modified.length === 0
      ? []
      : [`The developer's own version is not in your change ${short}: ${list(modified)}.`]),
  ];
  return [
    ...(places.length === 0
      ? [`The decisions could not be brought into your change ${short}: ${message}.`]
      : [...places, `You have edited these lines since, in that change or in one above it.`]),
    rest
      ? "Everything else that was decided is in your working copy."
      : "Nothing was changed in your working copy.",
    `Bring these lines to what the developer decided (jj edit ${short}), then publish that change again.`,
  ].join("\n");
}
