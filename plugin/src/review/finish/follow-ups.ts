/**
 * Suggestions above a change that was rewritten stand on another commit now: each gets a revision there. Where that
 * does not work, the agent is told what to do about its change, and the developer that it waits for the agent.
 */
import { ReviewError } from "../../protocol/errors.ts";
import type { Change } from "../../vcs/jj.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { getRevision, type SuggestionRow } from "../ledger/suggestion-rows.ts";
import { republish } from "../publish/publish.ts";
import { enqueue } from "../tell/outbox.ts";
import type { SettleContext } from "./settle-context.ts";

export async function followUps(context: SettleContext): Promise<void> {
  const { ledger, project } = context;
  const open = ledger.rows<SuggestionRow>(
    "SELECT * FROM suggestion WHERE project = ? AND state = 'open' AND stacked_on IS NOT NULL ORDER BY created_at",
    project.dir,
  );
  for (const row of open) {
    const [change, ...others]: Change[] = await project.jj.commitsOf(row.change_id);
    if (change === undefined || others.length > 0) continue;
    const revision = getRevision(ledger, row.id, row.revision);
    if (change.parents[0] === revision.base_commit) continue;
    try {
      await republish(ledger, project, row, change, context.now);
    } catch (thrown) {
      tellBoth(context, row, thrown);
    }
  }
}

/** Each hears it once, in words for what they can do about it. */
function tellBoth(context: SettleContext, row: SuggestionRow, thrown: unknown): void {
  const { ledger, project } = context;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const toAgent = [
    `What your change ${row.change_id.slice(0, 12)} stands on has changed, and it could not be published anew there:`,
    `    | ${reason}`,
    "Put that right and publish it again.",
  ].join("\n");
  if (lastMessage(ledger, row.id) === toAgent) return;
  const title = JSON.stringify(row.description.split("\n", 1)[0]);
  const refused = thrown instanceof ReviewError;
  ledger.transaction(() => {
    ledger.emit(
      project.dir,
      {
        type: "suggestion.error",
        code: "apply_failed",
        message: refused
          ? `${title} stands on a suggestion that has changed, and has to be published anew by the agent; it was told why`
          : `${title} stands on a suggestion that has changed, and could not be published anew there: ${reason}`,
        suggestion_id: row.id,
      },
      context.now(),
    );
    enqueue(
      ledger,
      {
        project: project.dir,
        suggestion: row.id,
        session: row.session,
        kind: "note",
        at: context.now().toISOString(),
      },
      { description: row.description, message: toAgent },
    );
  });
}

/** What the agent was told last of a suggestion, as far as it was a sentence. */
function lastMessage(ledger: Ledger, suggestion: string): string | undefined {
  const row = ledger.row<{ payload: string }>(
    "SELECT payload FROM outbox WHERE suggestion = ? AND payload LIKE '%\"message\"%' ORDER BY id DESC LIMIT 1",
    suggestion,
  );
  return row === null ? undefined : (JSON.parse(row.payload) as { message?: string }).message;
}
