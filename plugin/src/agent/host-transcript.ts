/** A session as the host has it, as the items of a transcript. Pure. */
import type { Message, Part, Session } from "@opencode-ai/sdk/v2";
import type { TranscriptItem } from "../review/tell/transcript.ts";

export interface HostMessage {
  info: Message;
  parts: Part[];
}

/** What a staged revert has taken back is left out: the host does not show it either. */
export function hostTranscript(
  messages: readonly HostMessage[],
  revert: Session["revert"],
): TranscriptItem[] {
  const end = revert === undefined ? -1 : messages.findIndex(({ info }) => info.id === revert.messageID);
  const items = messages
    .slice(0, end < 0 ? undefined : end + 1)
    .flatMap(({ info, parts }, index) =>
      partsUpTo(parts, index === end ? revert : undefined).flatMap((part) => itemOf(info, part)),
    );
  const left = end < 0 ? 0 : messages.length - end;
  return left === 0
    ? items
    : [
        ...items,
        { kind: "note", text: `What follows (${left} messages) was taken back and can be brought back` },
      ];
}

/** Of the message that a revert begins with: all of it, or from a part on. */
function partsUpTo(parts: Part[], revert: Session["revert"]): Part[] {
  if (revert === undefined) return parts;
  const at = parts.findIndex(({ id }) => id === revert.partID);
  return at < 0 ? [] : parts.slice(0, at);
}

function itemOf(info: Message, part: Part): TranscriptItem[] {
  switch (part.type) {
    case "text": {
      const by = info.role === "assistant" ? "agent" : part.synthetic === true ? "program" : "developer";
      return part.text === "" ? [] : [{ kind: "text", by, text: part.text, cut: 0 }];
    }
    case "reasoning":
      return part.text === "" ? [] : [{ kind: "reasoning", text: part.text, cut: 0 }];
    case "tool": {
      const { state } = part;
      return [
        {
          kind: "tool",
          tool: part.tool,
          title: ("title" in state && state.title) || "",
          status: state.status === "error" ? "failed" : state.status,
          input: Object.keys(state.input).length === 0 ? "" : JSON.stringify(state.input, null, 2),
          output: state.status === "completed" ? state.output : "",
          error: state.status === "error" ? state.error : "",
          cut: 0,
        },
      ];
    }
    case "file":
      return [{ kind: "note", text: `Attached: ${part.filename ?? part.url.slice(0, 200)}` }];
    case "subtask":
      return [{ kind: "note", text: `For ${part.agent}: ${part.prompt}` }];
    case "compaction":
      return [{ kind: "note", text: "From here on the agent goes by a summary" }];
    default:
      return [];
  }
}
