/**
 * Events to subscribers, live or from the journal. Each has a cursor (the last seq handed to it); what
 * it is given next is always cursor + 1, from the live stream when it keeps up and from the journal when it does
 * not. So a slow reader costs one queued message, loses nothing, gets nothing twice and never delays another.
 */
import type { ReviewDesk } from "../review/contract.ts";

/** `full`: taken, but wait for `resume` before more; `gone`: the other side is no longer there. */
export type Delivery = "taken" | "full" | "gone";

/** One reader of the journal: where it is, and how it is given what comes next. The door that has it makes it. */
export abstract class Subscriber {
  /** Sequence number of the last event handed over (or passed by the project filter). */
  cursor = 0;
  live = false;
  /** A further read of the journal is already on its way. */
  reading = false;
  project: string | undefined;

  abstract deliver(text: string, seq: number): Delivery;
  /** Runs several deliveries as one write where the transport can. */
  abstract burst(deliveries: () => void): void;
  /** The journal could not be read: this reader gets nothing more. */
  abstract fail(error: unknown): void;
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
  readonly #subscribers = new Set<Subscriber>();
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
  add(subscriber: Subscriber, since?: number, project?: string): void {
    this.flush();
    subscriber.cursor = since ?? this.#desk.lastSeq();
    subscriber.live = since === undefined;
    subscriber.reading = false;
    subscriber.project = project;
    this.#subscribers.add(subscriber);
    if (since !== undefined) this.#catchUp(subscriber);
  }

  remove(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
  }

  /** The sink has room again. */
  resume(subscriber: Subscriber): void {
    if (!subscriber.live && !subscriber.reading) this.#catchUp(subscriber);
  }

  /** Hands out what was committed so far. Doors call it before they answer: first the broadcast, then the answer. */
  flush(): void {
    this.#scheduled = false;
    if (this.#pending.length === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    for (const subscriber of this.#subscribers) {
      if (!subscriber.live) continue;
      if (pending.length === 1) this.#handOut(subscriber, pending);
      else subscriber.burst(() => this.#handOut(subscriber, pending));
    }
  }

  stop(): void {
    this.#stopListening();
    this.#subscribers.clear();
    this.#pending = [];
  }

  #handOut(subscriber: Subscriber, pending: Pending[]): void {
    for (const event of pending) {
      if (event.seq <= subscriber.cursor) continue;
      if (event.seq !== subscriber.cursor + 1) {
        // Told out of order; the journal has what is missing.
        subscriber.live = false;
        this.#readOn(subscriber);
        return;
      }
      if (!this.#give(subscriber, event.seq, event.json, event.project)) return;
    }
  }

  /** @returns whether the next event may follow at once */
  #give(subscriber: Subscriber, seq: number, json: string, project: string): boolean {
    subscriber.cursor = seq;
    if (subscriber.project !== undefined && subscriber.project !== project) return true;
    const delivery = subscriber.deliver(json, seq);
    if (delivery === "taken") {
      this.delivered += 1;
      return true;
    }
    subscriber.live = false;
    if (delivery === "gone") this.#subscribers.delete(subscriber);
    else this.delivered += 1;
    return false;
  }

  #catchUp(subscriber: Subscriber): void {
    if (!this.#subscribers.has(subscriber)) return;
    let rows: { seq: number; json: string }[];
    try {
      rows = this.#desk.eventTexts(subscriber.cursor, REPLAY_CHUNK);
    } catch (error) {
      this.#subscribers.delete(subscriber);
      subscriber.fail(error);
      return;
    }
    if (rows.length === 0) {
      // Nothing is committed between this read and the next event: both happen on this thread.
      subscriber.live = true;
      return;
    }
    let open = true;
    subscriber.burst(() => {
      for (const { seq, json } of rows) {
        const project = subscriber.project === undefined ? "" : projectOf(json);
        open = this.#give(subscriber, seq, json, project);
        if (!open) return;
      }
    });
    if (open) this.#readOn(subscriber);
  }

  #readOn(subscriber: Subscriber): void {
    subscriber.reading = true;
    setImmediate(() => {
      subscriber.reading = false;
      this.resume(subscriber);
    });
  }
}

function projectOf(json: string): string {
  return String((JSON.parse(json) as { project?: unknown }).project ?? "");
}
