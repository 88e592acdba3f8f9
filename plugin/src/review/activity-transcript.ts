/** A session as the record of the agent's activity has it, for when the host has it no more. Pure. */
import type { ActivityEntry } from "../protocol/activity.ts";
import type { TranscriptItem } from "./tell/transcript.ts";

/** @param entries of one root session; what subagents did is left out, as the host has it in sessions of their own */
export function transcriptOf(entries: readonly ActivityEntry[]): TranscriptItem[] {
  return entries
    .filter((entry) => entry.removed !== true && entry.session_id === entry.root_session_id)
    .sort((one, other) => one.position - other.position)
    .flatMap(itemOf);
}

function itemOf(entry: ActivityEntry): TranscriptItem[] {
  switch (entry.type) {
    case "agent.message": {
      const { text, cut } = entry;
      if (entry.kind === "reasoning") return [{ kind: "reasoning", text, cut }];
      const by = entry.role === "assistant" ? "agent" : entry.synthetic === true ? "program" : "developer";
      return [{ kind: "text", by, text, cut }];
    }
    case "agent.tool":
      return [
        {
          kind: "tool",
          tool: entry.tool,
          title: entry.title ?? "",
          status: entry.status,
          input: entry.input,
          output: entry.output,
          error: entry.error ?? "",
          cut: entry.input_cut + entry.output_cut,
        },
      ];
    case "agent.notice":
      return [{ kind: "note", text: entry.message }];
    case "agent.permission":
      return [{ kind: "note", text: `Asked for ${entry.permission}: ${entry.reply ?? entry.state}` }];
    case "agent.question":
      return entry.questions.map(({ question }, index) => ({
        kind: "note",
        text: `${question} → ${entry.answers?.[index]?.join(", ") ?? "not answered"}`,
      }));
    default:
      return [];
  }
}
