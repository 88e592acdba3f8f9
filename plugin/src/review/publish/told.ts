/** What the agent's activity says of a call: the prompt that began its turn, and the agent's words before it. */
import type { ActivityEntry } from "../../protocol/activity.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { ProvenanceCall } from "../ledger/provenance-rows.ts";
import type { CallRow } from "../ledger/remembered-rows.ts";

/** Characters of what was said that are kept with a revision. */
const MOST_WORDS = 2000;

interface Entry {
  id: string;
  position: number;
  root: string;
  call: string;
}

const cut = (text: string): string =>
  text.length <= MOST_WORDS ? text : `${text.slice(0, MOST_WORDS).replace(/[\ud800-\udbff]$/, "")}…`;

/** @param rows of the calls that are told of */
export function toldOf(ledger: Ledger, rows: readonly CallRow[]): Map<string, ProvenanceCall> {
  const entries = new Map<string, Entry>();
  for (const session of new Set(rows.map((row) => row.session)))
    for (const entry of callsIn(ledger, session)) entries.set(`${session}/${entry.call}`, entry);
  return new Map(rows.map((row) => [row.call, told(ledger, row, entries.get(row.call))]));
}

const callsIn = (ledger: Ledger, session: string): Entry[] =>
  ledger.rows<Entry>(
    `SELECT id, position, root, json ->> '$.call_id' AS call FROM activity
     WHERE session = ? AND type = 'agent.tool' ORDER BY position`,
    session,
  );

function told(ledger: Ledger, row: CallRow, entry: Entry | undefined): ProvenanceCall {
  const { call, session, tool, summary, began_at, ended_at, exit_code } = row;
  const plain: ProvenanceCall = { call, session, tool, summary, began_at, ended_at, exit_code };
  if (entry === undefined) return plain;
  const prompt = promptOf(lastBefore(ledger, entry.root, entry.position, "agent.turn"));
  const task =
    entry.root === session ? null : promptOf(lastBefore(ledger, session, entry.position, "agent.turn"));
  const words = lastBefore(ledger, session, entry.position, "agent.message");
  return {
    ...plain,
    root: entry.root,
    entry: entry.id,
    ...(prompt === null ? {} : { prompt: cut(prompt) }),
    ...(task === null ? {} : { task: cut(task) }),
    ...(words?.type === "agent.message" && words.role === "assistant" ? { words: cut(words.text) } : {}),
  };
}

const promptOf = (entry: ActivityEntry | null): string | null =>
  entry?.type === "agent.turn" ? (entry.prompt ?? null) : null;

/** The latest of a session before a place, thoughts left out: they are not said to anybody. */
function lastBefore(ledger: Ledger, session: string, position: number, type: string): ActivityEntry | null {
  const row = ledger.row<{ json: string }>(
    `SELECT json FROM activity WHERE session = ? AND type = ? AND position < ?
       AND coalesce(json ->> '$.kind', 'text') = 'text' ORDER BY position DESC LIMIT 1`,
    session,
    type,
    position,
  );
  return row === null ? null : (JSON.parse(row.json) as ActivityEntry);
}
