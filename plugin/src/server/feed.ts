/**
 * Events to subscribers, live or from the journal. Every subscriber has a cursor (the last seq handed to it); what
 * it is given next is always cursor + 1, from the live stream when it keeps up and from the journal when it does
 * not. So a slow reader costs one queued message, loses nothing, gets nothing twice and never delays another.
 */
import type { ReviewDesk } from "../review/contract.ts";

/** `full`: taken, but wait for `resume` before more; `gone`: the other side is no longer there. */
export type Delivery = "taken" | "full" | "gone";

export interface Sink {
  deliver(text: string, seq: number): Delivery;
  /** Runs a burst of deliveries as one write where the transport can. */
  burst(deliveries: () => void): void;
  /** The journal could not be read: the subscription is over. */
  fail(error: unknown): void;
}

export interface Subscription {
  /** Sequence number of the last event handed over (or passed by the project filter). */
  cursor: number;
  live: boolean;
  /** A further read of the journal is already on its way. */
  reading: boolean;
  readonly project: string | undefined;
  readonly sink: Sink;
}

interface Pending {
  seq: number;
  project: string;
  json: string;
}

/** Events read from the journal at once; other work gets its turn between two reads. */
const REPLAY_CHUNK = 64;

export class Feed {
  readonly #desk: ReviewDesk;
  readonly #subscriptions = new Set<Subscription>();
  readonly #stopListening: () => void;
  #pending: Pending[] = [];
  #scheduled = false;
  delivered = 0;

  constructor(desk: ReviewDesk) {
    this.#desk = desk;
    this.#stopListening = desk.subscribe((event, json) => {
      this.#pending.push({ seq: event.seq, project: event.project, json });
      if (this.#scheduled) return;
      // The first event of a burst goes out at once, the rest of it together.
      this.flush();
      this.#scheduled = true;
      queueMicrotask(() => this.flush());
    });
  }

  /** @param since replay what came after it first; left out, only what comes from now on */
  add(sink: Sink, since?: number, project?: string): Subscription {
    this.flush();
    const cursor = since ?? this.#desk.lastSeq();
    const subscription: Subscription = { cursor, live: since === undefined, reading: false, project, sink };
    this.#subscriptions.add(subscription);
    if (since !== undefined) this.#catchUp(subscription);
    return subscription;
  }

  remove(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
  }

  /** The sink has room again. */
  resume(subscription: Subscription): void {
    if (!subscription.live && !subscription.reading) this.#catchUp(subscription);
  }

  /** Hands out what was committed so far. Doors call it before they answer: first the broadcast, then the answer. */
  flush(): void {
    this.#scheduled = false;
    if (this.#pending.length === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    for (const subscription of this.#subscriptions) {
      if (!subscription.live) continue;
      if (pending.length === 1) this.#handOut(subscription, pending);
      else subscription.sink.burst(() => this.#handOut(subscription, pending));
    }
  }

  stop(): void {
    this.#stopListening();
    this.#subscriptions.clear();
    this.#pending = [];
  }

  #handOut(subscription: Subscription, pending: Pending[]): void {
    for (const event of pending) {
      if (event.seq <= subscription.cursor) continue;
      if (event.seq !== subscription.cursor + 1) {
        // Told out of order; the journal has what is missing.
        subscription.live = false;
        this.#readOn(subscription);
        return;
      }
      if (!this.#give(subscription, event.seq, event.json, event.project)) return;
    }
  }

  /** @returns whether the next event may follow at once */
  #give(subscription: Subscription, seq: number, json: string, project: string): boolean {
    subscription.cursor = seq;
    if (subscription.project !== undefined && subscription.project !== project) return true;
    const delivery = subscription.sink.deliver(json, seq);
    if (delivery === "taken") {
      this.delivered += 1;
      return true;
    }
    subscription.live = false;
    if (delivery === "gone") this.#subscriptions.delete(subscription);
    else this.delivered += 1;
    return false;
  }

  #catchUp(subscription: Subscription): void {
    if (!this.#subscriptions.has(subscription)) return;
    let rows: { seq: number; json: string }[];
    try {
      rows = this.#desk.eventTexts(subscription.cursor, REPLAY_CHUNK);
    } catch (error) {
      this.#subscriptions.delete(subscription);
      subscription.sink.fail(error);
      return;
    }
    if (rows.length === 0) {
      // Nothing is committed between this read and the next event: both happen on this thread.
      subscription.live = true;
      return;
    }
    let open = true;
    subscription.sink.burst(() => {
      for (const { seq, json } of rows) {
        const project = subscription.project === undefined ? "" : projectOf(json);
        open = this.#give(subscription, seq, json, project);
        if (!open) return;
      }
    });
    if (open) this.#readOn(subscription);
  }

  #readOn(subscription: Subscription): void {
    subscription.reading = true;
    setImmediate(() => {
      subscription.reading = false;
      this.resume(subscription);
    });
  }
}

function projectOf(json: string): string {
  return String((JSON.parse(json) as { project?: unknown }).project ?? "");
}
