/**
 * Why each hunk is there: which calls made its lines. Found at publish from what was remembered of the agent's calls, and
 * kept with the revision, so that it can be told when the calls and their session are long gone.
 */
import {
  type Attribution,
  attribute,
  type Origin,
  type OriginRun,
  originOf,
  type Step,
  UNKNOWN,
} from "../../diff/attribution.ts";
import { LINE_KINDS } from "../../diff/compose.ts";
import type { FoundHunk } from "../../diff/hunks.ts";
import type { Entry } from "../../diff/raw.ts";
import { ABSENT, type FileState, modeOf, NOT_KEPT, oidOf } from "../../vcs/file-memory.ts";
import type { Project } from "../../vcs/project.ts";
import type { PinnedRevision } from "../../vcs/publish.ts";
import { standingHunks } from "../ledger/hunk-rows.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { type ProvenanceCall, type ProvenanceRow, readProvenance } from "../ledger/provenance-rows.ts";
import { type ChangeRow, callsNamed, changesOf, lastChange, testRuns } from "../ledger/remembered-rows.ts";
import { toldOf } from "./told.ts";
import { baseState, lastSetBy, type Move, movesOfPath, proposedState, trailOf } from "./trail.ts";

/** Of all files that are compared for one revision; those beyond are unknown. */
const MOST_BYTES = 64 * 1024 * 1024;

export interface FoundProvenance {
  provenance: ProvenanceRow;
  /** The last change that was remembered by then. */
  lastChange: number;
}

/** @param previous the revision before, of which what still holds is taken over where nothing is known any more */
export async function findProvenance(
  ledger: Ledger,
  project: Project,
  pinned: PinnedRevision,
  previous: { suggestion: string; revision: number } | null,
): Promise<FoundProvenance> {
  const watch = (await project.memory?.settled()) ?? null;
  const paths = pinned.entries
    .flatMap(({ oldPath, newPath }) => [oldPath, newPath])
    .filter((path) => path !== null);
  const rows = changesOf(ledger, project.dir, [...new Set(paths)]);
  const calls = new Calls();
  const found = new Finder(pinned, rows, watch, calls);
  await found.read(project);
  const provenance: ProvenanceRow = { files: {}, whole: {}, calls: [], tests: [] };
  const byEntry = Map.groupBy(pinned.hunks, ({ entry }) => entry);
  pinned.entries.forEach((entry, index) => {
    const hunks = byEntry.get(index) ?? [];
    const lines = hunks.filter(({ kind, group }) => LINE_KINDS.has(kind) && group === null);
    if (lines.length > 0) provenance.files[index] = found.lines(entry, lines);
    for (const hunk of hunks)
      if (hunk.group !== null || !LINE_KINDS.has(hunk.kind) || hunk.oldCount + hunk.newCount === 0)
        provenance.whole[`${index} ${hunk.kind}`] = found.whole(entry, hunk);
  });
  if (previous !== null) takeOver(ledger, pinned, previous, provenance, calls);
  const told = toldOf(ledger, callsNamed(ledger, calls.names));
  provenance.calls = calls.names.map((name) => told.get(name) ?? calls.earlier.get(name) ?? { call: name });
  const ended = provenance.calls.flatMap(({ ended_at }) => ended_at ?? []).sort();
  if (ended[0] !== undefined)
    provenance.tests = testRuns(ledger, project.dir, ended[0]).map(
      ({ call, session, summary, began_at, exit_code }) => ({
        call,
        session,
        summary,
        began_at,
        exit_code,
      }),
    );
  return { provenance, lastChange: lastChange(ledger, project.dir) };
}

/** Numbers of calls, as they stand in what is kept with a revision. */
class Calls {
  readonly names: string[] = [];
  /** Of those that only an earlier revision knows. */
  readonly earlier = new Map<string, ProvenanceCall>();
  readonly #numbers = new Map<string, number>();

  number(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#numbers.set(name, this.names.length);
    return this.names.push(name) - 1;
  }
}

class Finder {
  readonly #byPath: Map<string, ChangeRow[]>;
  #contents = new Map<string, Uint8Array>();
  #bytes = 0;

  constructor(
    private readonly pinned: PinnedRevision,
    rows: readonly ChangeRow[],
    private readonly watch: string | null,
    private readonly calls: Calls,
  ) {
    this.#byPath = Map.groupBy(rows, ({ path }) => path);
  }

  /** What will be compared. */
  async read(project: Project): Promise<void> {
    const wanted = new Set<string>();
    const sides = new Set<string>();
    for (const hunk of this.pinned.hunks) {
      const entry = this.pinned.entries[hunk.entry];
      if (entry === undefined || hunk.group !== null || !LINE_KINDS.has(hunk.kind)) continue;
      const moves = this.#trail(entry);
      if (moves.length === 0) continue;
      for (const { before, after } of moves)
        for (const state of [before, after]) wanted.add(oidOf(state) ?? "");
      for (const oid of [entry.oldOid, entry.newOid]) if (oid !== null) sides.add(oid);
    }
    wanted.delete("");
    const remembered = (await project.memory?.contents([...wanted])) ?? new Map<string, Uint8Array>();
    const missing = [...wanted, ...sides].filter((oid) => !remembered.has(oid));
    this.#contents = remembered;
    for (const [oid, { bytes }] of await project.hub.readObjects(missing)) this.#contents.set(oid, bytes);
  }

  #trail(entry: Entry): Move[] {
    return trailOf(entry, this.#rows(entry), this.#origin);
  }

  #rows({ oldPath, newPath }: Entry): ChangeRow[] {
    const paths = [...new Set([oldPath, newPath])];
    const rows = paths.flatMap((path) => (path === null ? [] : (this.#byPath.get(path) ?? [])));
    return paths.length === 1 ? rows : rows.toSorted((one, other) => one.id - other.id);
  }

  readonly #origin = (row: ChangeRow): Origin =>
    originOf((JSON.parse(row.calls) as string[]).map((name) => this.calls.number(name)));

  #content(state: FileState): Uint8Array | null | undefined {
    if (state === ABSENT) return null;
    const content = state === NOT_KEPT ? undefined : this.#contents.get(oidOf(state) ?? "");
    this.#bytes += content?.length ?? 0;
    return this.#bytes > MOST_BYTES ? undefined : content;
  }

  lines(entry: Entry, hunks: readonly FoundHunk[]): Attribution {
    const moves = this.#trail(entry);
    const [base, proposed] = [this.#content(baseState(entry)), this.#content(proposedState(entry))];
    if (moves.length === 0 || base === undefined || proposed === undefined) return allUnknown(hunks);
    const steps = moves.map(
      ({ origin, watch, before, after }, index): Step => ({
        origin,
        watched: moves[index - 1]?.watch === watch,
        before: this.#content(before),
        after: this.#content(after),
      }),
    );
    return attribute(base, steps, proposed, hunks, moves.at(-1)?.watch === this.watch);
  }

  /** Of a hunk without lines: those that did what it is about. */
  whole(entry: Entry, { kind, group }: FoundHunk): Origin[] {
    const entries = group === null ? [entry] : group.flatMap((index) => this.pinned.entries[index] ?? []);
    const isThere = (state: FileState): string => (state === ABSENT ? "no" : "yes");
    const found = entries.flatMap((one) => {
      const ofPath = (path: string | null, from: FileState, to: FileState): Origin =>
        lastSetBy(movesOfPath(this.#rows(one), path, this.#origin), from, to, isThere, this.watch);
      if (kind === "rename")
        return [ofPath(one.newPath, ABSENT, proposedState(one)), ofPath(one.oldPath, baseState(one), ABSENT)];
      const aspect = kind === "mode" ? modeOf : (state: FileState) => state;
      return [lastSetBy(this.#trail(one), baseState(one), proposedState(one), aspect, this.watch)];
    });
    return [...new Map(found.map((origin) => [JSON.stringify(origin), origin])).values()];
  }
}

const allUnknown = (hunks: readonly FoundHunk[]): Attribution => ({
  added: hunks.flatMap(({ newFrom, newCount }) => run(newFrom, newCount)),
  removed: hunks.flatMap(({ oldFrom, oldCount }) => run(oldFrom, oldCount)),
});
const run = (from: number, count: number): OriginRun[] =>
  count === 0 ? [] : [{ from, count, origin: UNKNOWN }];

/** The part of runs that lies in [from, from + count). */
export const runsWithin = (runs: readonly OriginRun[], from: number, count: number): OriginRun[] =>
  runs.flatMap((one) => {
    const start = Math.max(one.from, from);
    const end = Math.min(one.from + one.count, from + count);
    return start < end ? [{ from: start, count: end - start, origin: one.origin }] : [];
  });

/** A hunk that is what one of the revision before was has its lines from where they were from then. */
function takeOver(
  ledger: Ledger,
  pinned: PinnedRevision,
  { suggestion, revision }: { suggestion: string; revision: number },
  provenance: ProvenanceRow,
  calls: Calls,
): void {
  const lost = pinned.hunks.filter(({ entry, oldFrom, oldCount, newFrom, newCount }) => {
    const file = provenance.files[entry];
    if (file === undefined) return false;
    const own = [
      ...runsWithin(file.added, newFrom, newCount),
      ...runsWithin(file.removed, oldFrom, oldCount),
    ];
    return own.some(({ origin }) => origin.kind === "unknown");
  });
  const before = lost.length === 0 ? null : readProvenance(ledger, suggestion, revision);
  if (before === null) return;
  const known = Map.groupBy(standingHunks(ledger, suggestion, revision), ({ digest }) => digest);
  const now = Map.groupBy(pinned.hunks, ({ digest }) => digest);
  const again = ({ kind, calls: numbers }: Origin): Origin => ({
    kind,
    calls: numbers.flatMap((number) => {
      const call = before.calls[number];
      if (call === undefined) return [];
      calls.earlier.set(call.call, call);
      return [calls.number(call.call)];
    }),
  });
  for (const hunk of lost) {
    const [old, ...others] = known.get(hunk.digest) ?? [];
    const was = old === undefined ? undefined : before.files[old.entry];
    const file = provenance.files[hunk.entry];
    // Of several alike it cannot be said which was which.
    if (old === undefined || was === undefined || file === undefined) continue;
    if (others.length > 0 || now.get(hunk.digest)?.length !== 1) continue;
    const moved = (runs: readonly OriginRun[], from: number, count: number, to: number): OriginRun[] =>
      runsWithin(runs, from, count).map((one) => ({
        ...one,
        from: one.from - from + to,
        origin: again(one.origin),
      }));
    file.added = replaced(
      file.added,
      hunk.newFrom,
      hunk.newCount,
      moved(was.added, old.new_from, old.new_count, hunk.newFrom),
    );
    file.removed = replaced(
      file.removed,
      hunk.oldFrom,
      hunk.oldCount,
      moved(was.removed, old.old_from, old.old_count, hunk.oldFrom),
    );
  }
}

const replaced = (runs: readonly OriginRun[], from: number, count: number, by: OriginRun[]): OriginRun[] =>
  [
    ...runsWithin(runs, 0, from),
    ...by,
    ...runsWithin(runs, from + count, Number.MAX_SAFE_INTEGER - from - count),
  ].sort((one, other) => one.from - other.from);
