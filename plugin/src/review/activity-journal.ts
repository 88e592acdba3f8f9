/**
 * The journal of the agent's activity, in tables of its own: written first, then told, in the order of its numbers. It
 * keeps what can be shown, never what the agent's session is: that is the host's.
 */
import type { ActivityBody, ActivityEntry, EntryOf } from "../protocol/activity.ts";
import { ReviewError } from "../protocol/errors.ts";
import {
  type ActivityFilter,
  type ActivityText,
  activityTexts,
  type Draft,
  dropUpTo,
  entriesOfMessage,
  entryById,
  keepBounded,
  lastNumber,
  lastPosition,
  openEntries,
  writeEntry,
} from "./ledger/activity-rows.ts";
import type { Ledger } from "./ledger/ledger.ts";
import { isLive, thisProcess } from "./tell/owner.ts";

export type AskType = "agent.permission" | "agent.question";

const CUT_OFF = "Its host ended before it did";

/** What becomes of an entry whose process is no more. */
function cutOff(body: ActivityBody): ActivityBody {
  switch (body.type) {
    case "agent.turn":
      return { ...body, state: "ended", end: "cut_off" };
    case "agent.message":
      return { ...body, done: true };
    case "agent.tool":
      return { ...body, status: "failed", error: CUT_OFF };
    case "agent.permission":
    case "agent.question":
      return { ...body, state: "gone", reason: "opencode ended while it waited: nothing was approved" };
    default:
      return body;
  }
}

export class ActivityJournal {
  readonly #listeners = new Set<() => void>();
  #told: number;

  constructor(
    private readonly ledger: Ledger,
    private readonly now: () => Date,
  ) {
    this.#told = lastNumber(ledger);
  }

  /** Writes forms of entries, then tells that there are some. Waits while another process writes. */
  async write(project: string, drafts: readonly Draft[]): Promise<ActivityEntry[]> {
    if (drafts.length === 0) return [];
    const owner = thisProcess();
    const written = await this.ledger.transactionWhenFree(() =>
      drafts.map((draft) => {
        const entry = writeEntry(this.ledger, project, draft, owner, this.now());
        if (entry.number === entry.position) keepBounded(this.ledger, project, draft.root, owner, this.now());
        return entry;
      }),
    );
    this.tell();
    return written;
  }

  /** The host has this message, or this part of one, no more. */
  async remove(project: string, { message, id }: { message?: string; id?: string }): Promise<void> {
    const rows =
      message === undefined
        ? [id === undefined ? null : entryById(this.ledger, id)]
        : entriesOfMessage(this.ledger, message);
    const drafts = rows.flatMap((row) => {
      const entry = row === null ? null : (JSON.parse(row.json) as ActivityEntry);
      return entry === null || entry.removed === true ? [] : [{ ...draftOf(entry, false), removed: true }];
    });
    await this.write(project, drafts);
  }

  /** The host has this session no more. */
  async forget(project: string, root: string): Promise<void> {
    await this.ledger.transactionWhenFree(() => {
      const upto = lastPosition(this.ledger, root);
      if (upto > 0)
        dropUpTo(this.ledger, project, root, upto, "The session was deleted", thisProcess(), this.now());
    });
    this.tell();
  }

  /**
   * Ends what the processes that wrote it can end no more.
   * @param alone no other process of ours has the port: who cannot be looked at from here is gone as well
   */
  async closeDead(project?: string, alone = false): Promise<void> {
    const dead = openEntries(this.ledger, project).flatMap(({ json, owner }) => {
      const entry = JSON.parse(json) as ActivityEntry;
      return isLive(owner, alone ? 0 : Date.parse(entry.ts)) ? [] : [entry];
    });
    for (const entry of dead)
      await this.write(entry.project, [{ ...draftOf(entry, false), body: cutOff(bodyOf(entry)) }]);
  }

  find(id: string): ActivityEntry | null {
    const row = entryById(this.ledger, id);
    return row === null ? null : (JSON.parse(row.json) as ActivityEntry);
  }

  /** What waits for an answer, the oldest first. */
  waiting<Type extends AskType>(type: Type, project?: string): EntryOf<Type>[] {
    return openEntries(this.ledger, project, type).map(({ json }) => JSON.parse(json) as EntryOf<Type>);
  }

  texts(since: number, limit: number, filter: ActivityFilter): ActivityText[] {
    return activityTexts(this.ledger, since, limit, filter);
  }

  last(): number {
    return lastNumber(this.ledger);
  }

  /** Calls `listener` whenever there is more to read. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells listeners if there is more than they were told of, by whomever it was written. */
  tell(): void {
    const last = this.last();
    if (last === this.#told) return;
    this.#told = last;
    for (const listener of [...this.#listeners]) listener();
  }
}

/** An entry without what the journal stamps it with. */
export function bodyOf(entry: ActivityEntry): ActivityBody {
  const { id, number, position, project, session_id, root_session_id, at, ts, removed, ...body } = entry;
  return body as ActivityBody;
}

/** @param open whether something more is to come of it */
export const draftOf = (entry: ActivityEntry, open: boolean): Draft => ({
  id: entry.id,
  session: entry.session_id,
  root: entry.root_session_id,
  body: bodyOf(entry),
  open,
});

/** @throws ReviewError with who answered what, when it waits no more: the first answer counts */
export function checkWaiting(entry: ActivityEntry | null): void {
  if (entry === null || !("state" in entry) || entry.type === "agent.turn" || entry.state === "asked") return;
  const { state, by, answered_at, reason } = entry;
  const answer =
    entry.type === "agent.permission"
      ? { reply: entry.reply, message: entry.message }
      : { answers: entry.answers };
  const said =
    state === "gone"
      ? (reason ?? "It waits no more")
      : `It was answered already, by ${by === "developer" ? "the developer" : "opencode"}`;
  throw new ReviewError("not_waiting", said, { details: { state, by, answered_at, ...answer } });
}
