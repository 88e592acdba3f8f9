/**
 * What the agent asks and who answers: permissions and questions of the host's. The first answer counts. An ask that
 * waits holds up nothing else; one whose turn was stopped, or whose host is gone, approves nothing any more.
 */
import type { Event } from "@opencode-ai/sdk/v2";
import type {
  ActivityEntry,
  BodyOf,
  PermissionEntry,
  PermissionRequest,
  PermissionResult,
  QuestionEntry,
  QuestionRequest,
  QuestionResult,
} from "../../protocol/activity.ts";
import { ReviewError, toReviewError } from "../../protocol/errors.ts";
import { checkWaiting } from "../../review/activity-journal.ts";
import type { Approved } from "../approvals/approved.ts";
import type { Hold } from "../approvals/hold.ts";
import type { ToolGate } from "../quiet.ts";
import type { AskHost } from "./host-asks.ts";
import { permissionBody, questionBody } from "./parts.ts";
import type { Form } from "./translator.ts";

/** How long, in milliseconds, a rejection waits for the turn to stop. */
const STOP_MS = 2_000;

type Body = BodyOf<"agent.permission"> | BodyOf<"agent.question">;

interface Waiting {
  id: string;
  session: string;
  call: string | undefined;
  host: AskHost;
  body: Body;
  /** The call has not begun, and waits here; without it the host has asked, and waits. */
  hold?: Hold;
  /** An answer is on its way: nobody else answers, and what the host tells of it is told by that one. */
  claimed: boolean;
  /** The host has been given the answer. */
  given: boolean;
}

export interface AsksOptions {
  gate: ToolGate;
  /** What the host is answered without asking the developer again. */
  approved: Approved;
  /** Writes a form in the order of all others, and returns it. */
  write(form: Form, host: AskHost): Promise<ActivityEntry | null>;
  find(id: string): ActivityEntry | null;
  now(): Date;
}

export class Asks {
  readonly #waiting = new Map<string, Waiting>();
  /** When a session's last turn ended, on the clock of `performance.now()`. */
  readonly #ended = new Map<string, number>();

  constructor(private readonly options: AsksOptions) {}

  take(event: Event, host: AskHost): void {
    switch (event.type) {
      case "permission.asked": {
        const { id, sessionID, tool } = event.properties;
        const ask = () => this.#asked(id, sessionID, tool?.callID, permissionBody(event.properties), host);
        const { approved } = this.options;
        if (approved.isLate(event.properties)) host.permission(id, "reject").catch(() => undefined);
        else if (!approved.covers(event.properties)) ask();
        else
          host.permission(id, "once").catch((thrown: unknown) => {
            // Stopped meanwhile: the host waits no more.
            if (toReviewError(thrown).code !== "not_found") ask();
          });
        break;
      }
      case "question.asked": {
        const { id, sessionID, tool, questions } = event.properties;
        this.#asked(id, sessionID, tool?.callID, questionBody(questions, tool?.callID), host);
        break;
      }
      case "permission.replied":
        this.#elsewhere(event.properties.requestID, { reply: event.properties.reply });
        break;
      case "question.replied":
        this.#elsewhere(event.properties.requestID, { answers: event.properties.answers });
        break;
      case "question.rejected":
        this.#elsewhere(event.properties.requestID, {});
        break;
      case "session.error":
        if (event.properties.error?.name === "MessageAbortedError")
          this.#over(event.properties.sessionID, "The turn was stopped: nothing was approved");
        break;
      case "session.idle":
        this.#over(event.properties.sessionID, "The turn ended: nothing was approved");
        break;
      case "session.deleted":
        this.#over(event.properties.info.id, "The session was deleted: nothing was approved");
        break;
    }
  }

  /** One run of the plugin has ended, and with it what it asked. */
  leave(host: AskHost): void {
    for (const ask of this.#waiting.values())
      if (ask.host === host) this.#gone(ask, "opencode was loaded anew: nothing was approved");
  }

  /**
   * A call waits here before it begins; what becomes of it is the hold's verdict.
   * @param since when the call came, on the clock of `performance.now()`
   * @returns whether the developer can be asked: else nobody would ever answer
   */
  async hold(hold: Hold, host: AskHost, since: number): Promise<boolean> {
    const { session } = hold.call;
    if ((this.#ended.get(session) ?? 0) >= since) {
      hold.refuse("The turn was over before the call began");
      return true;
    }
    const id = `held_${crypto.randomUUID()}`;
    const body = hold.body();
    const ask: Waiting = { id, session, call: undefined, host, body, hold, claimed: false, given: false };
    this.#waiting.set(id, ask);
    const written = await this.#write(ask, true);
    if (written !== null || this.#waiting.get(id) !== ask) return true;
    this.#waiting.delete(id);
    return false;
  }

  async answerPermission(request: PermissionRequest): Promise<PermissionResult> {
    const { permission_id: id, reply, message } = request;
    const ask = this.#claim(id);
    if (ask.hold !== undefined) return this.#answerHeld(ask, ask.hold, request);
    if (reply === "edit") {
      ask.claimed = false;
      throw new ReviewError(
        "invalid_request",
        "reply: expected once, always or reject: opencode itself asks for this, and it cannot be edited any more",
        { details: { field: "reply" } },
      );
    }
    const written = await this.#answer(
      ask,
      reply !== "reject",
      () => ask.host.permission(id, reply, message),
      {
        reply,
        ...(message === undefined ? {} : { message }),
      },
    );
    if (reply === "always") this.#allowed(ask.body);
    return { success: true, permission: written as PermissionEntry };
  }

  /** Written first: an answer that was told is kept, whatever becomes of the call. */
  async #answerHeld(ask: Waiting, hold: Hold, request: PermissionRequest): Promise<PermissionResult> {
    const { id, session, host } = ask;
    const { reply, message } = request;
    try {
      const edited = hold.check(request);
      const answer = {
        reply,
        ...(message === undefined ? {} : { message }),
        ...(edited === undefined ? {} : { edited }),
      };
      const body = { ...ask.body, ...answer, ...this.#by("developer") } as Body;
      const written = await this.options.write(
        { id, session, make: () => ({ body, open: false }), streamed: false },
        host,
      );
      if (this.#waiting.get(id) !== ask) {
        const reason = ask.body.reason ?? "It waits no more";
        throw new ReviewError("not_waiting", reason, { details: { state: "gone" } });
      }
      if (written === null)
        throw new ReviewError("internal", "The answer could not be written down: it still waits");
      this.#waiting.delete(id);
      if (reply === "reject") await this.#refuse(ask, hold, message);
      else {
        if (reply === "always") this.options.approved.allow(hold.would.always);
        hold.run(edited ?? hold.asked);
      }
      return { success: true, permission: written as PermissionEntry };
    } finally {
      ask.claimed = false;
    }
  }

  /** Without words the turn ends, as it does when the host itself is answered so. */
  async #refuse({ session, host }: Waiting, hold: Hold, message: string | undefined): Promise<void> {
    if (message !== undefined) return hold.refuse(`The developer rejected this call: ${message}`);
    await Promise.race([host.stop(session).catch(() => undefined), Bun.sleep(STOP_MS)]);
    hold.refuse("The developer rejected this call");
  }

  /** The host lets pass from now on what this would ask for. */
  #allowed(body: Body): void {
    if (body.type !== "agent.permission" || body.cut > 0) return;
    const { permission, always } = body;
    this.options.approved.allow(always.map((pattern) => ({ permission, pattern, action: "allow" })));
  }

  async answerQuestion({ question_id: id, answers }: QuestionRequest): Promise<QuestionResult> {
    const ask = this.#claim(id);
    try {
      if (answers !== undefined) checkAnswers(ask.body, answers);
    } catch (thrown) {
      ask.claimed = false;
      throw thrown;
    }
    const written = await (answers === undefined
      ? this.#answer(ask, false, () => ask.host.rejectQuestion(id), {})
      : this.#answer(ask, true, () => ask.host.question(id, answers), { answers }));
    return { success: true, question: written as QuestionEntry };
  }

  #asked(id: string, session: string, call: string | undefined, body: Body, host: AskHost): void {
    const ask: Waiting = { id, session, call, host, body, claimed: false, given: false };
    this.#waiting.set(id, ask);
    // It has not begun: whatever needs a quiet moment need not wait for it.
    if (call !== undefined) this.options.gate.pause(call, session);
    void this.#write(ask, true);
  }

  #claim(id: string): Waiting {
    const ask = this.#waiting.get(id);
    if (ask === undefined) {
      checkWaiting(this.options.find(id));
      throw new ReviewError(
        "unavailable",
        "It was asked in another process of opencode, which this server does not speak with",
      );
    }
    if (ask.claimed) {
      const details = { state: "asked", by: "developer" };
      throw new ReviewError("not_waiting", "It is being answered by the developer", { details });
    }
    ask.claimed = true;
    return ask;
  }

  /** @param runs whether the call goes on with this answer */
  async #answer(
    ask: Waiting,
    runs: boolean,
    give: () => Promise<void>,
    answer: Partial<BodyOf<"agent.permission">> | Partial<BodyOf<"agent.question">>,
  ): Promise<ActivityEntry> {
    try {
      // What is approved while the agent's files are being moved begins afterwards.
      if (runs && ask.call !== undefined) await this.options.gate.resume(ask.call, ask.session);
      if (this.#waiting.get(ask.id) !== ask) checkWaiting({ ...this.#formed(ask) });
      ask.given = true;
      await give();
    } catch (thrown) {
      ask.given = false;
      ask.claimed = false;
      if (ask.call !== undefined) this.options.gate.pause(ask.call, ask.session);
      const error = toReviewError(thrown);
      if (error.code !== "not_found") throw error;
      this.#gone(ask, "opencode knows of it no more: nothing was approved");
      throw new ReviewError("not_waiting", "opencode knows of it no more", { details: { state: "gone" } });
    }
    this.#waiting.delete(ask.id);
    const written = await this.#write(ask, false, { ...answer, ...this.#by("developer") });
    if (written === null)
      throw new ReviewError("internal", "The answer was given, and could not be written down");
    return written;
  }

  /** What {@link checkWaiting} reads of an entry. */
  #formed({ id, body, session }: Waiting): ActivityEntry {
    const known = this.options.find(id);
    if (known !== null) return known;
    const none = { number: 1, position: 1, project: "", session_id: session, root_session_id: session };
    return { id, ...none, at: "", ts: "", ...body };
  }

  #elsewhere(
    id: string,
    answer: Partial<BodyOf<"agent.permission">> | Partial<BodyOf<"agent.question">>,
  ): void {
    const ask = this.#waiting.get(id);
    if (ask === undefined || ask.claimed) return;
    this.#waiting.delete(id);
    if (ask.call !== undefined) this.options.gate.resumeNow(ask.call, ask.session);
    void this.#write(ask, false, { ...answer, ...this.#by("opencode") });
  }

  /** Nothing that waits in this session is approved any more, whatever the host would make of a late answer. */
  #over(session: string | undefined, reason: string): void {
    if (session === undefined) return;
    this.#ended.set(session, performance.now());
    for (const ask of this.#waiting.values()) {
      if (ask.session !== session || ask.given) continue;
      const { host, id } = ask;
      if (ask.hold !== undefined) {
        this.#gone(ask, reason);
        continue;
      }
      const refused =
        ask.body.type === "agent.permission" ? host.permission(id, "reject") : host.rejectQuestion(id);
      refused.catch(() => undefined);
      this.#gone(ask, reason);
    }
  }

  #gone(ask: Waiting, reason: string): void {
    this.#waiting.delete(ask.id);
    ask.body = { ...ask.body, state: "gone", reason };
    ask.hold?.refuse(reason);
    void this.#write(ask, false);
  }

  #by(by: "developer" | "opencode"): Pick<Body, "state" | "by" | "answered_at"> {
    return { state: "answered", by, answered_at: this.options.now().toISOString() };
  }

  #write(ask: Waiting, open: boolean, change: Partial<Body> = {}): Promise<ActivityEntry | null> {
    ask.body = { ...ask.body, ...change } as Body;
    const { body, id, session, host } = ask;
    return this.options.write({ id, session, make: () => ({ body, open }), streamed: false }, host);
  }
}

/** @throws ReviewError where an answer is none that the question takes */
function checkAnswers(body: Body, answers: readonly string[][]): void {
  if (body.type !== "agent.question") return;
  const { questions } = body;
  if (answers.length !== questions.length)
    throw new ReviewError(
      "invalid_request",
      `answers: expected one for each of ${questions.length} questions, got ${answers.length}`,
      { details: { field: "answers" } },
    );
  for (const [index, { options, multiple, custom }] of questions.entries()) {
    const given = answers[index] ?? [];
    const labels = options.map(({ label }) => label);
    const field = `answers.${index}`;
    if (!multiple && given.length > 1)
      throw new ReviewError("invalid_request", `${field}: expected one answer`, { details: { field } });
    const odd = custom ? undefined : given.find((answer) => !labels.includes(answer));
    if (odd !== undefined)
      throw new ReviewError("invalid_request", `${field}: expected ${labels.join(", ")}`, {
        details: { field, expected: labels },
      });
  }
}
