/** A turn as the OpenAI chat-completions protocol carries it: one object, or server-sent events. */
import type { Turn } from "./script.ts";

export interface Envelope {
  id: string;
  model: string;
  /** Seconds since 1970. */
  created: number;
  promptTokens: number;
}

const ARGUMENT_PIECE = 120;

function pieces(turn: Turn): string[] {
  if (turn.text === undefined) return [];
  if (Array.isArray(turn.text)) return turn.text;
  return turn.text.match(/\S+\s*|\s+/g) ?? [];
}

function toolCalls(turn: Turn, envelope: Envelope) {
  return (turn.calls ?? []).map((call, index) => ({
    index,
    id: `call_${envelope.id}_${index}`,
    type: "function" as const,
    function: { name: call.tool, arguments: JSON.stringify(call.args) },
  }));
}

function usage(turn: Turn, envelope: Envelope) {
  const said = pieces(turn).join("").length + JSON.stringify(turn.calls ?? []).length;
  const completion = Math.max(1, Math.round(said / 4));
  return {
    prompt_tokens: envelope.promptTokens,
    completion_tokens: completion,
    total_tokens: envelope.promptTokens + completion,
  };
}

const finishReason = (turn: Turn) => ((turn.calls ?? []).length > 0 ? "tool_calls" : "stop");

export function completion(turn: Turn, envelope: Envelope) {
  const calls = toolCalls(turn, envelope).map(({ index: _index, ...call }) => call);
  return {
    id: envelope.id,
    object: "chat.completion",
    created: envelope.created,
    model: envelope.model,
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: pieces(turn).join("") || null,
          ...(calls.length > 0 ? { tool_calls: calls } : {}),
        },
        finish_reason: finishReason(turn),
      },
    ],
    usage: usage(turn, envelope),
  };
}

/** The `data:` payloads of a streamed answer, in order, without the closing `[DONE]`. */
export function* chunks(turn: Turn, envelope: Envelope, includeUsage: boolean): Generator<object> {
  const chunk = (delta: object, finish: string | null = null) => ({
    id: envelope.id,
    object: "chat.completion.chunk",
    created: envelope.created,
    model: envelope.model,
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
  yield chunk({ role: "assistant", content: "" });
  if (turn.reasoning !== undefined) yield chunk({ reasoning_content: turn.reasoning });
  for (const piece of pieces(turn)) yield chunk({ content: piece });
  for (const call of toolCalls(turn, envelope)) {
    const text = call.function.arguments;
    yield chunk({ tool_calls: [{ ...call, function: { name: call.function.name, arguments: "" } }] });
    for (let at = 0; at < text.length; at += ARGUMENT_PIECE) {
      yield chunk({
        tool_calls: [{ index: call.index, function: { arguments: text.slice(at, at + ARGUMENT_PIECE) } }],
      });
    }
  }
  yield chunk({}, finishReason(turn));
  if (includeUsage) yield { ...chunk({}), choices: [], usage: usage(turn, envelope) };
}
