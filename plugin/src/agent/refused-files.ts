/** Reports files that the host's own tools were refused in the cage: by the rules that its launcher set, and links that lead out. */
import type { Event, ToolPart } from "@opencode-ai/sdk/v2";
import type { Refusal } from "../protocol/model.ts";
import { commandLine } from "../review/tell/commands.ts";
import type { Place } from "./approvals/would-ask.ts";
import { callLine, type DeniedFile, deniedFile, IS_LINK } from "./denied.ts";
import { LinkOut } from "./links.ts";

/** Parts that are remembered: the host may tell how a call ended more than once. */
const MOST = 500;

export class RefusedFiles {
  readonly #told = new Set<string>();

  constructor(
    /** Takes what is news to nobody yet, and does not throw. */
    private readonly report: (refusal: Refusal) => void,
  ) {}

  /** Runs what looks at a call's links, and reports what that refuses. */
  looking(tool: string, args: Record<string, unknown>, look: () => void): void {
    try {
      look();
    } catch (thrown) {
      if (thrown instanceof LinkOut)
        this.#report({ program: tool, target: thrown.path, reason: IS_LINK, command: callLine(tool, args) });
      throw thrown;
    }
  }

  take(event: Event, place: Place): void {
    if (event.type !== "message.part.updated") return;
    const { part } = event.properties;
    if (part.type !== "tool" || part.state.status !== "error" || this.#told.has(part.id)) return;
    const denied = deniedOf(part, part.state, place);
    if (denied === null) return;
    this.#told.add(part.id);
    for (const oldest of this.#told) {
      if (this.#told.size <= MOST) break;
      this.#told.delete(oldest);
    }
    this.#report(denied);
  }

  /** The texts are the agent's: one short line each, which plays no tricks on who reads it. */
  #report({ program, target, reason, command }: DeniedFile): void {
    this.report({
      kind: "file",
      // A name of nothing but blanks is one, too.
      target: commandLine(target) || JSON.stringify(target.slice(0, 100)),
      reason,
      program: commandLine(program).slice(0, 255),
      command: commandLine(command),
      count: 1,
    });
  }
}

const deniedOf = (
  { tool }: ToolPart,
  { error, input }: Extract<ToolPart["state"], { status: "error" }>,
  place: Place,
): DeniedFile | null => deniedFile({ tool, error, input }, place);
