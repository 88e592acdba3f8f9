/**
 * Brings notes of the outbox to the agent, each exactly once even over restarts: a note is marked as being sent
 * under a delivery id before it goes out, and one found in that state at start is looked for in the session first.
 */
import { v7 as uuid } from "uuid";
import { ReviewError } from "../../protocol/errors.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { AgentLink, Teller } from "./agent-link.ts";
import { feedbackText, type OutboxRow } from "./outbox.ts";

/** Several changes at once are looked at together. */
const BURST_MS = 250;
/** Decisions in quick succession become one message: it goes out when none has followed for this long… */
const PAUSE_MS = 1_500;
/** …or when the first has waited for this long. */
const PATIENCE_MS = 15_000;
const RETRY_MS = 5_000;

export class Courier implements Teller {
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** When the timer runs out. */
  #due = 0;
  #running: Promise<void> | null = null;
  #again = false;
  #stopped = false;

  constructor(
    private readonly ledger: Ledger,
    private readonly project: string,
    private readonly link: AgentLink,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Call when there may be something to bring. */
  wake(delay = BURST_MS): void {
    const due = Date.now() + delay;
    if (this.#stopped || (this.#timer !== null && this.#due <= due)) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#run();
    }, delay);
  }

  /** Brings now what can be brought now; resolves when that is done. */
  async flush(): Promise<void> {
    if (this.#stopped || !this.#hasWork()) return;
    await this.#run();
  }

  #hasWork(): boolean {
    return (
      this.ledger.row("SELECT id FROM outbox WHERE project = ? AND state = 'new' LIMIT 1", this.project) !==
      null
    );
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Resolves when everything that waits now has been brought, or could not be. */
  async #run(): Promise<void> {
    if (this.#running !== null) {
      this.#again = true;
      return this.#running;
    }
    this.#running = this.#deliverAll()
      .catch((error) => {
        this.onError(error);
        this.#running = null;
        this.wake(RETRY_MS);
      })
      .finally(() => {
        this.#running = null;
        if (this.#again) {
          this.#again = false;
          this.wake();
        }
      });
    return this.#running;
  }

  async #deliverAll(): Promise<void> {
    const rows = this.ledger.rows<OutboxRow>(
      "SELECT * FROM outbox WHERE project = ? AND state IN ('new', 'sending') ORDER BY id",
      this.project,
    );
    const fresh = new Map<string, OutboxRow[]>();
    const started = new Map<string, OutboxRow[]>();
    for (const row of rows) {
      // A subagent has ended by the time its work is reviewed: its root is told.
      const session = row.session === null ? await this.link.latest() : await this.link.rootOf(row.session);
      if (session === null) continue;
      const [map, key] = row.delivery === null ? [fresh, session] : [started, row.delivery];
      map.set(key, [...(map.get(key) ?? []), { ...row, session }]);
    }
    for (const [delivery, batch] of started) {
      const session = batch[0]?.session ?? "";
      if (!(await this.link.delivered(session, delivery))) await this.#send(session, delivery, batch);
      this.#sent(batch);
    }
    for (const [session, batch] of fresh) {
      const wait = await this.#wait(session, batch);
      if (wait > 0) {
        this.wake(wait);
        continue;
      }
      const delivery = uuid();
      this.ledger.transaction(() => {
        for (const row of batch) {
          this.ledger.change(
            "UPDATE outbox SET state = 'sending', delivery = ?, session = ? WHERE id = ?",
            delivery,
            session,
            row.id,
          );
        }
      });
      await this.#send(session, delivery, batch);
      this.#sent(batch);
    }
  }

  /** How long this batch is to wait yet (ms): for the end of a burst, and for a moment that disturbs no turn. */
  async #wait(session: string, batch: OutboxRow[]): Promise<number> {
    // The developer waits for the agent to act.
    if (batch.some((row) => row.kind === "revise")) return 0;
    const times = batch.map((row) => Date.parse(row.at));
    const now = Date.now();
    const pause = Math.max(...times) + PAUSE_MS - now;
    const patience = Math.min(...times) + PATIENCE_MS - now;
    if (pause > 0 && pause <= PAUSE_MS && patience > 0) return Math.min(pause, patience);
    // The end of the turn, or a tool, wakes us; asked again in case that was missed.
    return (await this.link.isTellable(session)) ? 0 : RETRY_MS;
  }

  #send(session: string, delivery: string, batch: OutboxRow[]): Promise<void> {
    const act = batch.some((row) => row.kind === "revise");
    return this.link
      .deliver(session, feedbackText(this.ledger, batch), delivery, act)
      .catch((error: unknown) => {
        if (!(error instanceof ReviewError) || error.code !== "not_found") throw error;
        // The session is gone: the notes wait for the next one of this project.
        this.ledger.transaction(() => {
          this.ledger.change("DELETE FROM session WHERE id = ?", session);
          for (const row of batch)
            this.ledger.change(
              "UPDATE outbox SET state = 'new', delivery = NULL, session = NULL WHERE id = ?",
              row.id,
            );
        });
        throw error;
      });
  }

  #sent(batch: OutboxRow[]): void {
    this.ledger.transaction(() => {
      for (const row of batch) this.ledger.change("UPDATE outbox SET state = 'sent' WHERE id = ?", row.id);
    });
  }
}

/** Without a session: everything that waits, handed over in the answer of the agent's own call. */
export function takeFeedback(ledger: Ledger, project: string): string[] {
  return ledger.transaction(() => {
    const rows = ledger.rows<OutboxRow>(
      "SELECT * FROM outbox WHERE project = ? AND state <> 'sent' ORDER BY id",
      project,
    );
    if (rows.length === 0) return [];
    ledger.change("UPDATE outbox SET state = 'sent' WHERE project = ? AND state <> 'sent'", project);
    return [feedbackText(ledger, rows)];
  });
}
