/**
 * Brings the host's events to the journal of the activity: one after the other, in the order in which they came, what is
 * streamed at most twenty times a second in a session.
 */
import type { Event } from "@opencode-ai/sdk/v2";
import type { ActivityEntry } from "../../protocol/activity.ts";
import type { ActivityJournal } from "../../review/activity-journal.ts";
import type { Approved } from "../approvals/approved.ts";
import type { ToolGate } from "../quiet.ts";
import { Asks } from "./asks.ts";
import type { AskHost } from "./host-asks.ts";
import { type Form, Translator } from "./translator.ts";

/** Between two streamed forms in a session, in milliseconds. */
export const PACE_MS = 50;
/** A form holds the whole text: long ones come less often, so that no stream writes more than this many bytes a ms. */
const BYTES_PER_MS = 100;

interface Pace {
  /** The newest form of each entry that has changed since it was written. */
  waiting: Map<string, { form: Form; host: AskHost }>;
  /** Not before this time, on the clock of `performance.now()`. */
  next: number;
  running: boolean;
}

export interface RelayOptions {
  journal: ActivityJournal;
  project: string;
  gate: ToolGate;
  approved: Approved;
  /** Told of what could not be written: it can be seen in the agent's own session. */
  failed(error: unknown): void;
  now?: () => Date;
}

export class ActivityRelay {
  readonly asks: Asks;
  readonly #translator = new Translator();
  readonly #paces = new Map<string, Pace>();
  /** What was last written of each entry of a running turn. */
  readonly #written = new Map<string, { session: string; hash: number | bigint }>();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: RelayOptions) {
    this.asks = new Asks({
      gate: options.gate,
      approved: options.approved,
      write: (form, host) => this.#write(form, host),
      find: (id) => options.journal.find(id),
      now: options.now ?? (() => new Date()),
    });
  }

  /** @param host the run of the plugin that heard of it */
  take(event: Event, host: AskHost): void {
    const { journal, project } = this.options;
    for (const step of this.#translator.take(event)) {
      if ("removed" in step) void this.#inTurn(() => journal.remove(project, step.removed));
      else if ("forgotten" in step) void this.#inTurn(() => journal.forget(project, step.forgotten));
      else if (step.streamed) this.#stream(step, host);
      else {
        this.#overtaken(step);
        void this.#write(step, host);
      }
    }
    this.asks.take(event, host);
    if (event.type === "session.idle")
      void this.#inTurn(async () => this.#forgetTurn(event.properties.sessionID));
  }

  /** Resolves when what was taken so far is written. */
  async settled(): Promise<void> {
    while ([...this.#paces.values()].some(({ running }) => running)) await Bun.sleep(PACE_MS / 5);
    await this.#queue;
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result | null> {
    const next = this.#queue.then(work).catch((error: unknown) => {
      this.options.failed(error);
      return null;
    });
    this.#queue = next;
    return next;
  }

  #write(form: Form, host: AskHost): Promise<ActivityEntry | null> {
    const { journal, project } = this.options;
    return this.#inTurn(async () => {
      const { body, open } = form.make();
      const hash = Bun.hash(JSON.stringify([open, body]));
      if (this.#written.get(form.id)?.hash === hash) return null;
      const root = await host.rootOf(form.session);
      const [entry] = await journal.write(project, [
        { id: form.id, session: form.session, root, body, open },
      ]);
      this.#written.set(form.id, { session: form.session, hash });
      return entry ?? null;
    });
  }

  /** A form that does not wait: it takes the place of its own older one, and what began before it keeps its place. */
  #overtaken({ id, session }: Form): void {
    const waiting = this.#paces.get(session)?.waiting;
    waiting?.delete(id);
    for (const [earlier, { form, host }] of waiting ?? []) {
      if (this.#written.has(earlier)) continue;
      waiting?.delete(earlier);
      void this.#write(form, host);
    }
  }

  #forgetTurn(session: string): void {
    for (const [id, written] of this.#written) if (written.session === session) this.#written.delete(id);
    if (this.#paces.get(session)?.running === false) this.#paces.delete(session);
  }

  #stream(form: Form, host: AskHost): void {
    let pace = this.#paces.get(form.session);
    if (pace === undefined) {
      pace = { waiting: new Map(), next: 0, running: false };
      this.#paces.set(form.session, pace);
    }
    pace.waiting.set(form.id, { form, host });
    if (!pace.running) void this.#run(pace);
  }

  /** One entry at a time, the one that has waited longest. */
  async #run(pace: Pace): Promise<void> {
    pace.running = true;
    for (;;) {
      const wait = pace.next - performance.now();
      if (wait > 0) await Bun.sleep(wait);
      const [first] = pace.waiting;
      if (first === undefined) break;
      const [id, { form, host }] = first;
      pace.waiting.delete(id);
      const began = performance.now();
      const entry = await this.#write(form, host);
      const bytes = entry === null ? 0 : JSON.stringify(entry).length;
      pace.next = began + Math.max(PACE_MS, bytes / BYTES_PER_MS);
    }
    pace.running = false;
  }
}
