/**
 * The agent may go back behind a settle with jj's own undo. Then its change is an earlier commit again, or was made
 * from one, and stands for other decisions than the ledger remembers: it is to be settled once more.
 */
import type { Project } from "../../vcs/project.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { standingAt } from "../ledger/settlements.ts";
import type { SuggestionRow } from "../ledger/suggestion-rows.ts";

/** Suggestions that are looked at, the latest first. */
const LOOKED_AT = 100;

/** Of several suggestions of one change only the latest has a say in it. */
const candidates = (ledger: Ledger, project: string): SuggestionRow[] =>
  ledger.rows<SuggestionRow>(
    `SELECT * FROM suggestion WHERE project = ? AND settle_needed = 'no' AND NOT EXISTS (
       SELECT 1 FROM suggestion AS later WHERE later.project = suggestion.project
         AND later.change_id = suggestion.change_id AND later.created_at > suggestion.created_at)
     ORDER BY state = 'open' DESC, updated_at DESC LIMIT ${LOOKED_AT}`,
    project,
  );

/**
 * Asks for a settle of what the agent has taken back. Costs nothing as long as jj did nothing since the last look.
 * @returns ids of the suggestions concerned
 */
export async function findTakenBack(ledger: Ledger, project: Project): Promise<Set<string>> {
  const found = new Set<string>();
  if (await project.jj.isCurrent(project.lookedAt)) return found;
  const rows = candidates(ledger, project.dir);
  if (rows.length === 0) return found;
  const changes = await project.jj.changes(rows.map((row) => `change_id(${row.change_id})`).join(" | "));
  const byId = Map.groupBy(changes, (change) => change.changeId);
  for (const row of rows) {
    const [now, ...others] = byId.get(row.change_id) ?? [];
    if (now === undefined || others.length > 0 || now.commit === row.agent_commit) continue;
    const standing =
      standingAt(ledger, row.id, now.commit) ?? (await standingOfEarlier(ledger, project, row, now.commit));
    if (standing === null || standing.settled === row.settled) continue;
    ledger.change(
      "UPDATE suggestion SET settle_needed = 'yes' WHERE id = ? AND settle_needed = 'no'",
      row.id,
    );
    found.add(row.id);
  }
  return found;
}

async function standingOfEarlier(ledger: Ledger, project: Project, row: SuggestionRow, commit: string) {
  for (const earlier of await project.jj.predecessors(commit)) {
    const standing = standingAt(ledger, row.id, earlier);
    if (standing !== null) return standing;
  }
  return null;
}
