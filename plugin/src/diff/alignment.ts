/**
 * Which lines of a text are those of an earlier one. Lines are compared as wholes, by number: equal lines have equal
 * numbers. Anchored at lines that stand once on both sides, as git's patience difference is.
 */

/** This line is of the later text alone. */
export const NEW = -1;
/** Whether it is of the earlier text could not be found out within bounds. */
export const UNSURE = -2;

/** Cells of the table for a stretch without anchors; beyond, its lines are unsure. */
const MOST_CELLS = 1_000_000;

export interface Alignment {
  /** For each line of the later text its line in the earlier one, {@link NEW} or {@link UNSURE}. */
  readonly from: Int32Array;
  /** Lines of the earlier text of which it could not be found out whether they are in the later one: not 0. */
  readonly unsure: Uint8Array;
}

interface Stretch {
  aFrom: number;
  aTo: number;
  bFrom: number;
  bTo: number;
}

/** @param a the earlier text, @param b the later one */
export function align(a: readonly number[], b: readonly number[]): Alignment {
  const from = new Int32Array(b.length).fill(NEW);
  const unsure = new Uint8Array(a.length);
  const all = { aFrom: 0, aTo: a.length, bFrom: 0, bTo: b.length };
  const open: Stretch[] = [];
  /** A line that stands once in the whole of both texts says more than one that happens to stand once in a stretch. */
  const divide = ({ aFrom, aTo, bFrom, bTo }: Stretch, anchors: readonly [number, number][]): void => {
    let [atA, atB] = [aFrom, bFrom];
    for (const [inA, inB] of anchors) {
      from[inB] = inA;
      open.push({ aFrom: atA, aTo: inA, bFrom: atB, bTo: inB });
      [atA, atB] = [inA + 1, inB + 1];
    }
    open.push({ aFrom: atA, aTo, bFrom: atB, bTo });
  };
  divide(all, anchorsOf(a, b, all));
  for (let stretch = open.pop(); stretch !== undefined; stretch = open.pop()) {
    let { aFrom, aTo, bFrom, bTo } = stretch;
    while (aFrom < aTo && bFrom < bTo && a[aFrom] === b[bFrom]) from[bFrom++] = aFrom++;
    while (aFrom < aTo && bFrom < bTo && a[aTo - 1] === b[bTo - 1]) from[--bTo] = --aTo;
    if (aFrom === aTo || bFrom === bTo) continue;
    const rest = { aFrom, aTo, bFrom, bTo };
    const anchors = anchorsOf(a, b, rest);
    if (anchors.length > 0) divide(rest, anchors);
    else if ((aTo - aFrom + 1) * (bTo - bFrom + 1) <= MOST_CELLS) longestCommon(a, b, rest, from);
    else {
      unsure.fill(1, aFrom, aTo);
      from.fill(UNSURE, bFrom, bTo);
    }
  }
  return { from, unsure };
}

/** Lines that stand once on both sides, as many as keep their order. */
function anchorsOf(
  a: readonly number[],
  b: readonly number[],
  { aFrom, aTo, bFrom, bTo }: Stretch,
): [number, number][] {
  const placeOf = (lines: readonly number[], begin: number, end: number): Map<number, number> => {
    const places = new Map<number, number>();
    for (let at = begin; at < end; at++) {
      const line = lines[at] as number;
      places.set(line, places.has(line) ? NEW : at);
    }
    return places;
  };
  const inB = placeOf(b, bFrom, bTo);
  const both: [number, number][] = [];
  for (const [line, at] of placeOf(a, aFrom, aTo)) {
    const other = inB.get(line) ?? NEW;
    if (at !== NEW && other !== NEW) both.push([at, other]);
  }
  both.sort(([one], [other]) => one - other);
  return longestRising(both);
}

/** The longest chain of pairs whose second numbers rise, by piles. */
function longestRising(pairs: readonly [number, number][]): [number, number][] {
  const tops: number[] = [];
  const before = new Int32Array(pairs.length).fill(NEW);
  pairs.forEach(([, second], index) => {
    let [low, high] = [0, tops.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((pairs[tops[middle] as number] as [number, number])[1] < second) low = middle + 1;
      else high = middle;
    }
    before[index] = low === 0 ? NEW : (tops[low - 1] as number);
    tops[low] = index;
  });
  const chain: [number, number][] = [];
  for (let at = tops.at(-1) ?? NEW; at !== NEW; at = before[at] as number)
    chain.push(pairs[at] as [number, number]);
  return chain.reverse();
}

/** A longest common subsequence of a stretch that has no anchors. */
function longestCommon(
  a: readonly number[],
  b: readonly number[],
  { aFrom, aTo, bFrom, bTo }: Stretch,
  from: Int32Array,
): void {
  const width = bTo - bFrom + 1;
  const table = new Int32Array((aTo - aFrom + 1) * width);
  for (let i = aTo - aFrom - 1; i >= 0; i--) {
    for (let j = width - 2; j >= 0; j--) {
      table[i * width + j] =
        a[aFrom + i] === b[bFrom + j]
          ? (table[(i + 1) * width + j + 1] as number) + 1
          : Math.max(table[(i + 1) * width + j] as number, table[i * width + j + 1] as number);
    }
  }
  let [i, j] = [0, 0];
  while (aFrom + i < aTo && bFrom + j < bTo) {
    if (a[aFrom + i] === b[bFrom + j]) from[bFrom + j++] = aFrom + i++;
    else if ((table[(i + 1) * width + j] as number) >= (table[i * width + j + 1] as number)) i++;
    else j++;
  }
}
