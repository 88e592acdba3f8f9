/**
 * Pages of `list` as JSON text, remembered for as long as the journal has not moved: whatever a summary shows
 * changes in one transaction with an event, so the same last seq means the same page. Clients ask for it far more
 * often than it changes.
 */
import type { ListQuery } from "../protocol/requests.ts";
import type { ReviewDesk } from "../review/contract.ts";
import { listPage } from "./lookups.ts";

const MOST_PAGES = 32;

export class ListTexts {
  readonly #desk: ReviewDesk;
  readonly #pages = new Map<string, string>();
  #seq = -1;

  constructor(desk: ReviewDesk) {
    this.#desk = desk;
  }

  page(query: ListQuery): string {
    // Read before the page: an event in between makes it stale at once, never wrongly fresh.
    const seq = this.#desk.lastSeq();
    if (seq !== this.#seq || this.#pages.size >= MOST_PAGES) {
      this.#pages.clear();
      this.#seq = seq;
    }
    const key = JSON.stringify([query.status, query.project, query.limit, query.offset]);
    let text = this.#pages.get(key);
    if (text === undefined) {
      text = JSON.stringify(listPage(this.#desk, query));
      this.#pages.set(key, text);
    }
    return text;
  }
}
