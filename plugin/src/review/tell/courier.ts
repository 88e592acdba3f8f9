/**
 * Brings notes of the outbox to the agent, each exactly once even over restarts: a note is marked as being sent
 * under a delivery id before it goes out, and one found in that state at start is looked for in the session first.
 */
import { v7 as uuid } from "uuid";
import { ReviewError } from "../../protocol/errors.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { forgetSession, lastSeenIn } from "../ledger/sessions.ts";
import type { AgentLink, Teller } from "./agent-link.ts";
import { feedbackText, type OutboxRow } from "./outbox.ts";
import { isLive, thisProcess, timeOf } from "./owner.ts";

/** Several changes at once are looked at together. */
const BURST_MS = 250;
/** Decisions in quick succession become one message: it goes out when none has followed for this long… */
export const PAUSE_MS = 1_500;
/** …or when the first has waited for this long. */
export const PATIENCE_MS = 15_000;
const RETRY_MS = 5_000;

export class Courier implements Teller {
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** When the timer runs out. */
  #due = 0;
  #running: Promise<void> | null = null;
  #again = false;
  /** Nothing is waited for that may follow yet. */
  #hurried = false;
  #stopped = false;
  /** This courier among those of all processes, and among those that this process had before. */
  readonly #owner = `${thisProcess()} ${uuid()}`;
  /** Sessions that cannot be told now, as was said. */
  readonly #waiting = new Set<string>();

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
  async flush(hurried = false): Promise<void> {
    if (this.#stopped || !this.#hasWork()) return;
    if (hurried) this.#hurried = true;
    await this.#run();
    if (!hurried) return;
    // What was under way may have begun before.
    if (this.#hasWork()) await this.#run();
    this.#hurried = false;
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
    for (const [delivery, batch] of this.#takeOver()) {
      const session = batch[0]?.session ?? "";
      if (!(await this.link.delivered(session, delivery))) {
        if (await this.#mustWait(session)) continue;
        await this.#send(session, delivery, batch);
      }
      this.#sent(batch);
    }
    for (const [session, batch] of await this.#waitingBatches()) {
      const wait = await this.#wait(session, batch);
      if (wait > 0) {
        this.wake(wait);
        continue;
      }
      if (await this.#mustWait(session)) continue;
      const delivery = uuid();
      const taken = this.#claim(batch, session, delivery);
      if (taken.length === 0) continue;
      await this.#send(session, delivery, taken);
      this.#sent(taken);
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
    if (!this.#hurried && pause > 0 && pause <= PAUSE_MS && patience > 0) return Math.min(pause, patience);
    // The end of the turn, or a tool, wakes us; asked again in case that was missed.
    return (await this.link.isTellable(session)) ? 0 : RETRY_MS;
  }

  /** Deliveries that were begun by nobody who is still at it, this courier's own earlier ones among them. */
  #takeOver(): Map<string, OutboxRow[]> {
    return this.ledger.transaction(() => {
      const begun = this.ledger.rows<OutboxRow>(
        "SELECT * FROM outbox WHERE project = ? AND state = 'sending' ORDER BY id",
        this.project,
      );
      const free = begun.filter((row) => row.owner === this.#owner || !isHeld(row));
      for (const row of free)
        this.ledger.change("UPDATE outbox SET owner = ? WHERE id = ?", this.#owner, row.id);
      return Map.groupBy(free, (row) => row.delivery ?? "");
    });
  }

  /** What nobody has taken yet, by the session that is told; sessions of another living process are left to that. */
  async #waitingBatches(): Promise<Map<string, OutboxRow[]>> {
    const rows = this.ledger.rows<OutboxRow>(
      "SELECT * FROM outbox WHERE project = ? AND state = 'new' ORDER BY id",
      this.project,
    );
    const found = new Map<string, OutboxRow[]>();
    for (const row of rows) {
      // A subagent has ended by the time its work is reviewed: its root is told.
      const session = row.session === null ? await this.link.latest() : await this.link.rootOf(row.session);
      if (session === null) continue;
      if (this.#isOthers(session)) this.wake(RETRY_MS);
      else found.set(session, [...(found.get(session) ?? []), row]);
    }
    return found;
  }

  #isOthers(session: string): boolean {
    const seen = lastSeenIn(this.ledger, session);
    return seen !== null && seen.owner !== thisProcess() && isLive(seen.owner, Date.parse(seen.at));
  }

  /** Takes them for a session, in one statement: of two couriers one gets each. */
  #claim(batch: OutboxRow[], session: string, delivery: string): OutboxRow[] {
    const rows = this.ledger.rows<OutboxRow>(
      `UPDATE outbox SET state = 'sending', delivery = ?, session = ?, owner = ?
       WHERE state = 'new' AND id IN (SELECT value FROM json_each(?)) RETURNING *`,
      delivery,
      session,
      this.#owner,
      JSON.stringify(batch.map(({ id }) => id)),
    );
    return rows.sort((one, other) => one.id - other.id);
  }

  async #send(session: string, delivery: string, batch: OutboxRow[]): Promise<void> {
    const act = batch.some((row) => row.kind === "revise");
    try {
      await this.link.deliver(session, feedbackText(this.ledger, batch), delivery, act);
    } catch (error) {
      if (error instanceof ReviewError && error.code === "not_found") {
        // The session is gone: the notes wait for the next one of this project.
        this.ledger.transaction(() => {
          forgetSession(this.ledger, session);
          this.#release(batch, "state = 'new', delivery = NULL, session = NULL, owner = NULL");
        });
      } else if (this.#stopped) {
        // Nobody tries again here; whoever comes next looks for the message first.
        this.#release(batch, "owner = NULL");
      }
      throw error;
    }
  }

  #release(batch: OutboxRow[], set: string): void {
    for (const row of batch)
      this.ledger.change(`UPDATE outbox SET ${set} WHERE id = ? AND owner = ?`, row.id, this.#owner);
  }

  #sent(batch: OutboxRow[]): void {
    this.ledger.transaction(() => this.#release(batch, "state = 'sent', owner = NULL"));
  }

  /** Whether a session cannot be told now; said once for each such while. */
  async #mustWait(session: string): Promise<boolean> {
    const why = await this.link.whyNotNow(session);
    if (why === null) {
      this.#waiting.delete(session);
      return false;
    }
    // The host says when that has ended; this is for when it does not.
    this.wake(RETRY_MS);
    if (!this.#waiting.has(session)) {
      this.#waiting.add(session);
      this.ledger.emit(this.project, { type: "suggestion.status", status: "working", message: why });
    }
    return true;
  }
}

/** Whether another courier may still be bringing it. */
const isHeld = (row: OutboxRow): boolean =>
  row.owner !== null && isLive(row.owner, timeOf(row.delivery ?? ""));

/** Up to where there is something to tell now. */
export const lastOfOutbox = (ledger: Ledger): number =>
  ledger.row<{ id: number }>("SELECT coalesce(max(id), 0) AS id FROM outbox")?.id ?? 0;

/**
 * Without a session: what waits, handed over in the answer of the agent's own call.
 *
 * @param upTo decisions that came later wait for the next call: the files may not show them yet
 */
export function takeFeedback(ledger: Ledger, project: string, upTo: number): string[] {
  return ledger.transaction(() => {
    const rows = ledger
      .rows<OutboxRow>(
        `SELECT * FROM outbox WHERE project = ? AND state <> 'sent' AND (id <= ? OR payload ->> 'batch' IS NULL)
         ORDER BY id`,
        project,
        upTo,
      )
      .filter((row) => !isHeld(row));
    if (rows.length === 0) return [];
    for (const { id } of rows) ledger.change("UPDATE outbox SET state = 'sent' WHERE id = ?", id);
    return [feedbackText(ledger, rows)];
  });
}
