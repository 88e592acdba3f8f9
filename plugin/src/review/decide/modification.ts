/** A developer's own version of a hunk: what it may touch, and what it makes of the base. */
import { fromLatin1, lineOffsets, utf8 } from "../../diff/bytes.ts";
import { parseEdited } from "../../diff/unified.ts";
import type { HunkDecision } from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import { decisionOf, type HunkRow, type Modification } from "../ledger/hunk-rows.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { SuggestionRow } from "../ledger/suggestion-rows.ts";

/** Reads the base file of a hunk; used only for modifications. */
export type ReadBase = (suggestion: SuggestionRow, hunk: HunkRow) => Uint8Array;

const LF = 10;

/**
 * Reads the developer's edit of a hunk.
 *
 * @throws ReviewError invalid_request or invalid_modification, naming the field and what was expected
 */
export function readModification(
  { ledger, readBase }: { ledger: Ledger; readBase: ReadBase },
  suggestion: SuggestionRow,
  hunk: HunkRow,
  decision: HunkDecision,
): Modification {
  const diff = decision.modified_diff;
  if (diff === undefined)
    throw new ReviewError("invalid_request", "modified_diff: required when action is modify");
  if (hunk.atomic_reason !== null) {
    throw new ReviewError(
      "invalid_modification",
      `modified_diff: this ${hunk.kind} hunk cannot be edited, ${hunk.atomic_reason}; accept or reject it`,
    );
  }
  const bytes = hunk.encoding === "latin1" ? encodeLatin1(diff) : utf8(diff);
  const base = readBase(suggestion, hunk);
  const free = freeRange(ledger, suggestion, hunk, lineOffsets(base).length - 1);
  const replacement = parseEdited(bytes, base, free);
  const end = replacement.from + replacement.count;
  const open = replacement.text.length > 0 && replacement.text[replacement.text.length - 1] !== LF;
  if (open && othersOf(ledger, suggestion, hunk).some((other) => other.old_from >= end)) {
    throw new ReviewError(
      "invalid_modification",
      "modified_diff: only the file's last line may lack its newline, and another hunk adds lines after these",
    );
  }
  return {
    from: replacement.from,
    count: replacement.count,
    text: Buffer.from(replacement.text).toString("base64"),
    diff,
  };
}

function encodeLatin1(text: string): Uint8Array {
  for (const character of text) {
    if ((character.codePointAt(0) ?? 0) > 255) {
      throw new ReviewError(
        "invalid_modification",
        `modified_diff: this file is not UTF-8, so that "${character}" cannot be written to it`,
      );
    }
  }
  return fromLatin1(text);
}

/** The other hunks of the same file that have lines. */
const othersOf = (ledger: Ledger, suggestion: SuggestionRow, hunk: HunkRow): HunkRow[] =>
  ledger.rows<HunkRow>(
    `SELECT * FROM standing_hunk WHERE suggestion = ? AND revision = ? AND entry = ? AND id <> ?
     AND atomic_reason IS NULL`,
    suggestion.id,
    suggestion.revision,
    hunk.entry,
    hunk.id,
  );

/** Base lines that neither another hunk nor another's modification claims, around this hunk. */
export function freeRange(
  ledger: Ledger,
  suggestion: SuggestionRow,
  hunk: HunkRow,
  baseLines: number,
): { from: number; to: number } {
  let from = 0;
  let to = baseLines;
  for (const other of othersOf(ledger, suggestion, hunk)) {
    for (const claim of claimsOf(other)) {
      const isBefore =
        claim.from < hunk.old_from ||
        (claim.from === hunk.old_from && (other.new_from < hunk.new_from || claim.to < hunk.old_from));
      if (isBefore) from = Math.max(from, claim.to);
      else to = Math.min(to, claim.from);
    }
  }
  return { from, to };
}

function claimsOf(hunk: HunkRow, modified = decisionOf(hunk)?.modified): { from: number; to: number }[] {
  const claims = [{ from: hunk.old_from, to: hunk.old_from + hunk.old_count }];
  if (modified !== undefined) claims.push({ from: modified.from, to: modified.from + modified.count });
  return claims;
}
