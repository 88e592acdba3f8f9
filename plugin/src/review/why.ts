/** Why a hunk is there, as it is told: the calls that made its lines, from what was found out when it was published. */
import type { Origin, OriginRun } from "../diff/attribution.ts";
import type { Actor } from "../protocol/model.ts";
import type { Why } from "../protocol/queries.ts";
import { getHunk, type HunkRow } from "./ledger/hunk-rows.ts";
import type { Ledger } from "./ledger/ledger.ts";
import { type ProvenanceCall, type ProvenanceRow, readProvenance } from "./ledger/provenance-rows.ts";
import { getRevision, getSuggestion } from "./ledger/suggestion-rows.ts";
import { runsWithin } from "./publish/provenance.ts";

type Line = Why["lines"][number];

/** Without titles, which the host knows. What the developer said is for the developer. */
export function why(ledger: Ledger, suggestionId: string, hunkId: string, actor: Actor): Why {
  const suggestion = getSuggestion(ledger, suggestionId);
  const hunk = getHunk(ledger, suggestion, hunkId);
  const row = readProvenance(ledger, suggestion.id, suggestion.revision);
  const told = (origin: Origin) => ({
    origin: origin.kind,
    calls: origin.calls.flatMap((number) => row?.calls[number]?.call ?? []),
  });
  const lines = linesOf(row, hunk).map(({ side, from, count, origin }) => ({
    side,
    start: from + 1,
    count,
    ...told(origin),
  }));
  const whole = (row?.whole[`${hunk.entry} ${hunk.kind}`] ?? []).map(told);
  const named = new Set([...lines, ...whole].flatMap(({ calls }) => calls));
  const calls = (row?.calls ?? [])
    .filter(({ call }) => named.has(call))
    .map((call) => toldCall(call, lines, actor))
    .sort((one, other) => (one.began_at ?? "").localeCompare(other.began_at ?? ""));
  return {
    suggestion_id: suggestion.id,
    revision: suggestion.revision,
    hunk_id: hunk.id,
    lines,
    whole: whole.length > 0 || lines.length > 0 ? whole : [{ origin: "unknown", calls: [] }],
    calls,
    tests:
      row === null
        ? []
        : testsAfter(row, calls, getRevision(ledger, suggestion.id, suggestion.revision).created_at),
  };
}

/** What a part of a hunk takes out of a file is found by its place, as that of the whole is. */
function linesOf(row: ProvenanceRow | null, hunk: HunkRow): (OriginRun & { side: Line["side"] })[] {
  const file = row?.files[hunk.entry];
  const side = (name: Line["side"], from: number, count: number) => {
    const unknown: OriginRun[] = count === 0 ? [] : [{ from, count, origin: { kind: "unknown", calls: [] } }];
    const runs = file === undefined ? unknown : runsWithin(file[name], from, count);
    return runs.map((one) => ({ ...one, side: name }));
  };
  return [...side("removed", hunk.old_from, hunk.old_count), ...side("added", hunk.new_from, hunk.new_count)];
}

function toldCall(call: ProvenanceCall, lines: readonly Line[], actor: Actor): Why["calls"][number] {
  const alone = (side: Line["side"]): number =>
    lines
      .filter((line) => line.side === side && line.origin === "call" && line.calls[0] === call.call)
      .reduce((sum, { count }) => sum + count, 0);
  const { session, root, tool, summary, began_at, ended_at, exit_code, entry } = call;
  return {
    call_id: call.call,
    ...(session === undefined ? {} : { session_id: session }),
    ...(root === undefined ? {} : { root_session_id: root }),
    ...(tool === undefined ? {} : { tool }),
    ...(summary === undefined ? {} : { summary }),
    ...(began_at === undefined ? {} : { began_at }),
    ...(ended_at === undefined ? {} : { ended_at }),
    ...(exit_code === undefined ? {} : { exit_code }),
    added: alone("added"),
    removed: alone("removed"),
    ...(entry === undefined || actor !== "developer" ? {} : { entry_id: entry }),
    ...(actor === "developer" ? said(call) : {}),
  };
}

function said({ prompt, task, words }: ProvenanceCall) {
  return {
    ...(prompt === undefined ? {} : { prompt }),
    ...(task === undefined ? {} : { task }),
    ...(words === undefined ? {} : { words }),
  };
}

function testsAfter(row: ProvenanceRow, calls: Why["calls"], published: string): Why["tests"] {
  const last = calls.reduce((latest, { ended_at = "" }) => (ended_at > latest ? ended_at : latest), "");
  if (last === "") return [];
  return row.tests
    .filter(({ began_at }) => began_at >= last && began_at <= published)
    .map(({ call, session, summary, began_at, exit_code }) => ({
      call_id: call,
      session_id: session,
      command: summary,
      began_at,
      exit_code,
    }));
}
