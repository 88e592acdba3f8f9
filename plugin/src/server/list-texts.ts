/**
 * Pages of `list` as JSON text, remembered until something they show may have changed. Whatever a summary shows
 * changes in one transaction with an event that is not one of `QUIET`, so no such event means the same page. Clients
 * ask for it far more often than it changes, and while an agent works the journal is full of quiet ones.
 */
import type { ReviewEvent } from "../protocol/events.ts";
import type { ListQuery } from "../protocol/queries.ts";
import type { ReviewDesk } from "../review/contract.ts";
import { listPage } from "./lookups.ts";

const MOST_PAGES = 32;

/** Events that go with no change of any summary. */
const QUIET: ReadonlySet<ReviewEvent["type"]> = new Set(["suggestion.status", "agent.turn"]);

export class ListTexts {
  readonly #desk: ReviewDesk;
  readonly #pages = new Map<string, string>();
  readonly #stopListening: () => void;
  /** Every event up to this one has been looked at. */
  #seen: number;

  constructor(desk: ReviewDesk) {
    this.#desk = desk;
    this.#seen = desk.lastSeq();
    this.#stopListening = desk.subscribe(({ seq, type }) => {
      if (seq !== this.#seen + 1 || !QUIET.has(type)) this.#pages.clear();
      this.#seen = seq;
    });
  }

  page(query: ListQuery): string {
    // Another process's events are in the journal before this one is told of them.
    if (this.#desk.lastSeq() !== this.#seen) return JSON.stringify(listPage(this.#desk, query));
    const { status, state, project, text: part, file, updated_since, limit, offset, cursor } = query;
    const key = JSON.stringify([status, state, project, part, file, updated_since, limit, offset, cursor]);
    let text = this.#pages.get(key);
    if (text === undefined) {
      if (this.#pages.size >= MOST_PAGES) this.#pages.clear();
      text = JSON.stringify(listPage(this.#desk, query));
      this.#pages.set(key, text);
    }
    return text;
  }

  stop(): void {
    this.#stopListening();
    this.#pages.clear();
  }
}
