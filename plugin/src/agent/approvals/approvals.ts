/**
 * Calls that the host would ask for are held here, before they begin: what the developer makes of their arguments is what
 * runs. The host copies a call's arguments when it asks, and an edit would come too late there.
 */
import type { Event } from "@opencode-ai/sdk/v2";
import { type CallArguments, MOST_ARGUMENTS } from "../../protocol/activity.ts";
import type { Asks } from "../activity/asks.ts";
import type { AskHost } from "../activity/host-asks.ts";
import type { Approved } from "./approved.ts";
import { editNote, putInto } from "./edited.ts";
import { Hold } from "./hold.ts";
import type { HostRules } from "./host-rules.ts";
import { type Call, EDITABLE, type Place, wouldAsk } from "./would-ask.ts";

/** Key under which both forms of an edited call are kept in the host's message part. */
const EDIT_MARK = "suggestion_manager_edit";

export interface CallPlace extends Place {
  host: AskHost;
  rules: HostRules;
  /** @throws where the arguments lead out of where the call may go */
  vet(args: CallArguments): void;
}

export class Approvals {
  /** What was asked for, of calls that run with other arguments. */
  readonly #edited = new Map<string, { before: CallArguments; after: CallArguments }>();

  constructor(
    private readonly asks: Asks,
    private readonly approved: Approved,
  ) {}

  /**
   * Returns when the call may begin, with what may run in its arguments.
   * @throws ReviewError where it is not to run
   */
  async before(call: Call, place: CallPlace): Promise<void> {
    if (!EDITABLE.has(call.tool) || Buffer.byteLength(JSON.stringify(call.arguments)) > MOST_ARGUMENTS)
      return;
    const since = performance.now();
    const rules = await place.rules.of(call.session);
    const all = rules === null ? null : [...rules, ...this.approved.rules];
    const would = wouldAsk(call, all, place);
    if (would === null) return;
    const hold = new Hold(call, would, place.vet);
    if (!(await this.asks.hold(hold, place.host, since))) return;
    const args = await hold.verdict;
    // Links may be others than when it began to wait.
    place.vet(args);
    if (args !== hold.asked) {
      putInto(call.arguments, args);
      this.#edited.set(keyOf(call.session, call.call), { before: hold.asked, after: args });
    } else putInto(call.arguments, hold.asked);
    this.approved.add(call, place);
  }

  /**
   * The call has ended.
   * @param result what the host keeps of it, and tells the model: where the call was edited, that is said there
   */
  after(session: string, call: string, result?: { output?: unknown; metadata?: unknown }): void {
    if (result === undefined) this.approved.ended(session, call);
    else this.approved.ran(session, call);
    const key = keyOf(session, call);
    const edit = this.#edited.get(key);
    this.#edited.delete(key);
    if (edit === undefined || typeof result?.output !== "string") return;
    result.output += `\n\n${editNote(edit.before, edit.after)}`;
    const kept = { [EDIT_MARK]: { asked: edit.before, ran: edit.after } };
    result.metadata = { ...(result.metadata as object | undefined), ...kept };
  }

  take(event: Event): void {
    if (event.type === "session.idle") this.#over(event.properties.sessionID);
    if (event.type !== "message.part.updated" || event.properties.part.type !== "tool") return;
    const { callID, sessionID, state } = event.properties.part;
    // A failed call has no `after`.
    if (state.status === "error") this.after(sessionID, callID);
  }

  /** Nothing of the session runs any more. */
  #over(session: string): void {
    this.approved.ended(session);
    for (const key of this.#edited.keys()) if (key.startsWith(keyOf(session, ""))) this.#edited.delete(key);
  }
}

const keyOf = (session: string, call: string): string => `${session}/${call}`;
