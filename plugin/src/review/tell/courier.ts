/**
 * Brings notes of the outbox to the agent, each exactly once even over restarts: a note is marked as being sent
 * under a delivery id before it goes out, and one found in that state at start is looked for in the session first.
 */
import { v7 as uuid } from "uuid";
import { ReviewError } from "../../protocol/errors.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { AgentLink } from "./agent-link.ts";
import { feedbackText, type OutboxRow } from "./outbox.ts";

/** Decisions in quick succession become one message. */
const BURST_MS = 250;
const RETRY_MS = 5_000;

export class Courier {
  #timer: ReturnType<typeof setTimeout> | null = null;
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
    if (this.#stopped || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#run();
    }, delay);
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
      const session = row.session ?? this.#lastSession();
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

  #lastSession(): string | null {
    return (
      this.ledger.row<{ id: string }>(
        "SELECT id FROM session WHERE project = ? ORDER BY at DESC LIMIT 1",
        this.project,
      )?.id ?? null
    );
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
