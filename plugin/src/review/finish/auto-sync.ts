/**
 * What follows when the last hunk of a suggestion is decided: the check, if one is set, and then finalize, if the
 * settings ask for it. Never silent: whatever keeps a suggestion from being finalized is an event.
 */
import { toReviewError } from "../../protocol/errors.ts";
import type { Actor } from "../../protocol/model.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { getSuggestion } from "../ledger/suggestion-rows.ts";

export interface AutoSyncContext {
  ledger: Ledger;
  now: () => Date;
  /** Null where no check is set. */
  check: ((suggestionId: string) => Promise<{ ok: boolean; exit_code: number | null }>) | null;
  /** Null where the developer finalizes. */
  finalize: ((suggestionId: string, by: Actor) => Promise<unknown>) | null;
}

export class AutoSync {
  readonly #context: AutoSyncContext;
  /** Suggestions whose check runs, with who decided them anew meanwhile, if anybody did. */
  readonly #running = new Map<string, { next: Actor | null }>();

  constructor(context: AutoSyncContext) {
    this.#context = context;
  }

  /**
   * Every hunk of the suggestion is decided. Returns at once.
   * @param by who took the last decision, in whose name it is finalized
   */
  reviewed(suggestionId: string, by: Actor): void {
    const { check, finalize } = this.#context;
    if (check === null && finalize === null) return;
    const running = this.#running.get(suggestionId);
    if (running === undefined) void this.#run(suggestionId, by);
    else running.next = by;
  }

  async #run(suggestionId: string, first: Actor): Promise<void> {
    const state: { next: Actor | null } = { next: first };
    this.#running.set(suggestionId, state);
    try {
      while (state.next !== null) {
        const by = state.next;
        state.next = null;
        await this.#once(suggestionId, by);
      }
    } catch (thrown) {
      this.#tell(suggestionId, toReviewError(thrown).message);
    } finally {
      this.#running.delete(suggestionId);
    }
  }

  async #once(suggestionId: string, by: Actor): Promise<void> {
    const { ledger, check, finalize } = this.#context;
    const before = getSuggestion(ledger, suggestionId);
    const result = check === null ? { ok: true, exit_code: 0 } : await check(suggestionId);
    if (finalize === null) return;
    const after = getSuggestion(ledger, suggestionId);
    // What was checked is what is finalized: a decision taken meanwhile asks for another round when it is the last.
    if (after.updated_at !== before.updated_at || after.state !== "open") return;
    if (result.ok) return void (await finalize(suggestionId, by));
    const how = result.exit_code === null ? "was ended" : `failed with exit code ${result.exit_code}`;
    this.#tell(suggestionId, `the check ${how}; see the output of "verify", decide anew or finalize by hand`);
  }

  #tell(suggestionId: string, why: string): void {
    const { ledger, now } = this.#context;
    const { project } = getSuggestion(ledger, suggestionId);
    ledger.emit(
      project,
      {
        type: "suggestion.error",
        code: "sync_failed",
        message: `Not finalized by itself: ${why}`,
        suggestion_id: suggestionId,
      },
      now(),
    );
  }
}
