/**
 * The agent's activity to those who watch it. Each has a cursor, the number of the last form that it was handed; what it
 * is given next are the forms with a higher one, from the ledger. A reader that is slow passes over the forms that were
 * replaced meanwhile, and still comes to the same view.
 */
import type { ReviewDesk } from "../review/contract.ts";
import type { ActivityFilter } from "../review/ledger/activity-rows.ts";
import type { Delivery } from "./feed.ts";

/** Forms read at once; other work gets its turn between two reads. */
const CHUNK = 64;

/** One reader. The door that has it makes it. */
export abstract class Watcher {
  cursor = 0;
  filter: ActivityFilter = {};
  /** Waits for `resume`. */
  full = false;
  /** A further read is on its way. */
  reading = false;

  abstract deliver(text: string, number: number): Delivery;
  /** Runs several deliveries as one write where the transport can. */
  abstract burst(deliveries: () => void): void;
  /** The ledger could not be read: this reader gets nothing more. */
  abstract fail(error: unknown): void;
}

export class ActivityFeed {
  readonly #watchers = new Set<Watcher>();
  readonly #stopListening: () => void;

  constructor(private readonly desk: ReviewDesk) {
    this.#stopListening = desk.onActivity(() => {
      for (const watcher of [...this.#watchers]) this.resume(watcher, watcher.full);
    });
  }

  /** @param since forms with a higher number first; left out, only what comes from now on */
  add(watcher: Watcher, since: number | undefined, filter: ActivityFilter): void {
    watcher.cursor = since ?? this.desk.lastActivity();
    watcher.filter = filter;
    watcher.full = false;
    this.#watchers.add(watcher);
    this.resume(watcher);
  }

  remove(watcher: Watcher): void {
    this.#watchers.delete(watcher);
  }

  /** Hands out what there is. */
  resume(watcher: Watcher, stillFull = false): void {
    watcher.full = stillFull;
    if (stillFull || watcher.reading || !this.#watchers.has(watcher)) return;
    let forms: { number: number; json: string }[];
    try {
      forms = this.desk.activityTexts(watcher.cursor, CHUNK, watcher.filter);
    } catch (error) {
      this.#watchers.delete(watcher);
      watcher.fail(error);
      return;
    }
    if (forms.length === 0) return;
    watcher.burst(() => this.#handOut(watcher, forms));
    if (forms.length < CHUNK || watcher.full) return;
    watcher.reading = true;
    setImmediate(() => {
      watcher.reading = false;
      this.resume(watcher, watcher.full);
    });
  }

  #handOut(watcher: Watcher, forms: readonly { number: number; json: string }[]): void {
    for (const { number, json } of forms) {
      const delivery = watcher.deliver(`{"type":"agent.activity","entry":${json}}`, number);
      if (delivery === "gone") {
        this.#watchers.delete(watcher);
        return;
      }
      watcher.cursor = number;
      watcher.full = delivery === "full";
      if (watcher.full) return;
    }
  }

  stop(): void {
    this.#stopListening();
    this.#watchers.clear();
  }
}
