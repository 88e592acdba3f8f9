/** What became of one file between base and proposal, put together from the changes that were remembered. Pure. */
import { type Origin, OUTSIDE, UNKNOWN } from "../../diff/attribution.ts";
import type { Entry } from "../../diff/raw.ts";
import { ABSENT, type FileState, NOT_KEPT } from "../../vcs/file-memory.ts";
import type { ChangeRow } from "../ledger/remembered-rows.ts";

export interface Move {
  origin: Origin;
  watch: string;
  before: FileState;
  after: FileState;
}

const stateOf = (mode: string | null, oid: string | null): FileState =>
  mode === null || oid === null ? ABSENT : `${mode} ${oid}`;
export const baseState = ({ oldMode, oldOid }: Entry): FileState => stateOf(oldMode, oldOid);
export const proposedState = ({ newMode, newOid }: Entry): FileState => stateOf(newMode, newOid);

/** Of the changes of one path. */
const movesOf = (
  rows: readonly ChangeRow[],
  path: string | null,
  originOf: (row: ChangeRow) => Origin,
): Move[] =>
  rows
    .filter((row) => row.path === path)
    .map((row) => ({ origin: originOf(row), watch: row.watch, before: row.before, after: row.after }));

/**
 * A file that was renamed is followed under its old name until there is one of the new name.
 *
 * @param rows of both names, in order
 */
export function trailOf(
  entry: Entry,
  rows: readonly ChangeRow[],
  originOf: (row: ChangeRow) => Origin,
): Move[] {
  const { oldPath, newPath } = entry;
  if (oldPath === null || newPath === null || oldPath === newPath)
    return sinceBase(movesOf(rows, newPath ?? oldPath, originOf), entry);
  const moves: Move[] = [];
  let standing = baseState(entry);
  let isNew = false;
  for (const row of rows) {
    const move = { origin: originOf(row), watch: row.watch, before: row.before, after: row.after };
    if (row.path === newPath) {
      // From nothing: with the content that the old name had.
      if (!isNew && row.before === ABSENT) move.before = standing;
      isNew = row.after !== ABSENT;
      moves.push(move);
    } else if (row.path === oldPath && !isNew) {
      standing = row.after === ABSENT ? row.before : row.after;
      if (row.after !== ABSENT) moves.push(move);
    }
  }
  return sinceBase(moves, entry);
}

/** What came before it was last as the base has it, and after it was last as it is proposed, made no difference. */
function sinceBase(moves: readonly Move[], entry: Entry): Move[] {
  const [base, proposed] = [baseState(entry), proposedState(entry)];
  let from = 0;
  moves.forEach(({ before, after }, index) => {
    if (before === base) from = index;
    if (after === base) from = index + 1;
  });
  const last = moves.findLastIndex(({ after }, index) => index >= from && after === proposed);
  return moves.slice(from, last < 0 ? undefined : last + 1);
}

/**
 * Who last gave a file what it has in the end: its mode, its content, or that it is there at all.
 *
 * @param aspect of a state, alike where nothing of interest changed
 * @param watch the word at publish; null where something may have been missed since
 */
export function lastSetBy(
  moves: readonly Move[],
  base: FileState,
  proposed: FileState,
  aspect: (state: FileState) => string | null,
  watch: string | null,
): Origin {
  let state = base;
  let by: Origin = UNKNOWN;
  let seen: string | null = null;
  const turn = (next: FileState, origin: Origin): void => {
    // What was not kept may have been this already.
    if (aspect(next) !== aspect(state))
      by = state === NOT_KEPT && origin.calls.length === 0 ? UNKNOWN : origin;
    state = next;
  };
  for (const move of moves) {
    turn(move.before, seen === move.watch ? OUTSIDE : UNKNOWN);
    turn(move.after, move.origin);
    seen = move.watch;
  }
  turn(proposed, seen !== null && seen === watch ? OUTSIDE : UNKNOWN);
  return by;
}

export const movesOfPath = movesOf;
