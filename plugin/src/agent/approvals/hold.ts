/** A call that is held before it begins, until the developer says what becomes of it. */
import { type BodyOf, type CallArguments, MOST_TEXT, type PermissionReply } from "../../protocol/activity.ts";
import { ReviewError } from "../../protocol/errors.ts";
import { beginningOf } from "../activity/texts.ts";
import { editedArguments } from "./edited.ts";
import type { Call, WouldAsk } from "./would-ask.ts";

export interface Reply {
  reply: PermissionReply;
  message?: string | undefined;
  arguments?: CallArguments | undefined;
}

/** What an edit would change, shortened. */
const MOST_DIFF = 16_384;

export class Hold {
  readonly call: Call;
  readonly asked: CallArguments;
  readonly #verdict = Promise.withResolvers<CallArguments>();

  /** @param vet throws where arguments cannot be let run, whoever wrote them */
  constructor(
    call: Call,
    readonly would: WouldAsk,
    private readonly vet: (args: CallArguments) => void,
  ) {
    this.call = call;
    this.asked = structuredClone(call.arguments);
    // Whoever waits for it is told; nobody need wait.
    this.#verdict.promise.catch(() => undefined);
  }

  /** The arguments to run with. @throws ReviewError where the call is not to run */
  get verdict(): Promise<CallArguments> {
    return this.#verdict.promise;
  }

  body(): BodyOf<"agent.permission"> {
    const { asked, call, would } = this;
    const { command, filePath } = asked;
    const shown = typeof command === "string" ? beginningOf(command, MOST_TEXT) : null;
    const diff = shown === null ? beginningOf(changeOf(asked), MOST_DIFF) : null;
    return {
      type: "agent.permission",
      state: "asked",
      call_id: call.call,
      permission: would.permission,
      patterns: would.patterns,
      always: would.always.map(({ pattern }) => pattern),
      ...(shown === null ? {} : { command: shown.text }),
      ...(typeof filePath === "string" ? { file: filePath } : {}),
      ...(diff === null || diff.text === "" ? {} : { diff: diff.text }),
      cut: (shown?.cut ?? 0) + (diff?.cut ?? 0),
      editable: true,
      arguments: asked,
    };
  }

  /** @throws ReviewError `invalid_request` where the call cannot be answered so */
  check({ reply, arguments: change }: Reply): CallArguments | undefined {
    if (reply === "always" && this.would.always.length === 0)
      throw new ReviewError(
        "invalid_request",
        "reply: expected once, edit or reject: no rule can be made of this call",
        { details: { field: "reply" } },
      );
    if (reply !== "edit") return undefined;
    const edited = editedArguments(this.asked, change ?? {});
    try {
      this.vet(edited);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new ReviewError("invalid_request", `arguments: ${why}`, { details: { field: "arguments" } });
    }
    return edited;
  }

  run(args: CallArguments): void {
    this.#verdict.resolve(args);
  }

  refuse(reason: string): void {
    this.#verdict.reject(new ReviewError("nothing_to_do", reason));
  }
}

const prefixed = (mark: string, text: unknown): string[] =>
  typeof text === "string" && text !== ""
    ? text
        .replace(/\n$/, "")
        .split("\n")
        .map((line) => mark + line)
    : [];

/** What the arguments say: not what the file would become, which the file as it is then decides. */
function changeOf(args: CallArguments): string {
  if (typeof args.patchText === "string") return args.patchText;
  const edits = Array.isArray(args.edits) ? (args.edits as CallArguments[]) : [args];
  return edits
    .flatMap(({ oldString, newString, content }) => [
      ...prefixed("-", oldString),
      ...prefixed("+", newString),
      ...prefixed("+", content),
    ])
    .join("\n");
}
