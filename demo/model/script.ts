/**
 * What a scripted model says, as data: conversations chosen by the person's prompt, each a list of turns. Choosing
 * a turn looks only at the request's own messages, so a model that was restarted goes on where it was.
 */

/** A tool call of a turn. Strings in `args` may hold templates, see {@link fill}. */
export interface ScriptedCall {
  tool: string;
  args: Record<string, unknown>;
}

/** One answer of the model: text, tool calls, or both. */
export interface Turn {
  /** Text, in the pieces it is streamed in. */
  text?: string | string[];
  reasoning?: string;
  calls?: ScriptedCall[];
  /** Wait before the first byte. */
  delayMs?: number;
  /** Wait between pieces. */
  pieceDelayMs?: number;
  /** Fail with this HTTP status instead of answering. */
  error?: { status: number; message: string };
}

export interface Conversation {
  /** Regular expression over the text of a user message; the last message that any conversation matches starts it. */
  when: string;
  turns: Turn[];
}

export interface Script {
  /** Answer to requests without tools (the host asks so for a session's title). */
  title?: string;
  conversations: Conversation[];
  /** Said when no conversation matches, or when its turns are used up. */
  otherwise?: Turn;
  /** Values for `{{name}}` templates. */
  values?: Record<string, string>;
}

export interface ToolCallMessage {
  id: string;
  function: { name: string; arguments: string };
}

/** A chat message as the OpenAI protocol writes it, as far as a script needs it. */
export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool";
  content?: string | { type: string; text?: string }[] | null;
  tool_calls?: ToolCallMessage[];
  tool_call_id?: string;
}

export interface Choice {
  /** Index of the conversation, -1 when none matched. */
  conversation: number;
  /** Index of the turn within it. */
  turn: number;
  answer: Turn;
}

export function textOf(message: ChatMessage): string {
  if (typeof message.content === "string") return message.content;
  if (!Array.isArray(message.content)) return "";
  return message.content.map((part) => part.text ?? "").join("\n");
}

/** The turn that answers these messages, templates filled in. */
export function choose(script: Script, messages: readonly ChatMessage[]): Choice {
  const patterns = script.conversations.map((conversation) => new RegExp(conversation.when, "i"));
  const otherwise = script.otherwise ?? { text: "Done." };
  for (let index = messages.length - 1; index >= 0; index--) {
    const message = messages[index];
    if (message?.role !== "user") continue;
    const text = textOf(message);
    const conversation = patterns.findIndex((pattern) => pattern.test(text));
    if (conversation < 0) continue;
    const turn = messages.slice(index + 1).filter((later) => later.role === "assistant").length;
    const answer = script.conversations[conversation]?.turns[turn] ?? otherwise;
    return {
      conversation,
      turn,
      answer: fill(answer, { messages, prompt: text, values: script.values ?? {} }),
    };
  }
  return { conversation: -1, turn: 0, answer: otherwise };
}

interface Context {
  messages: readonly ChatMessage[];
  prompt: string;
  values: Record<string, string>;
}

/** The latest result of a tool, or undefined when it was not called yet. */
export function lastResult(messages: readonly ChatMessage[], tool: string): string | undefined {
  const names = new Map<string, string>();
  let found: string | undefined;
  for (const message of messages) {
    for (const call of message.tool_calls ?? []) names.set(call.id, call.function.name);
    if (message.role === "tool" && names.get(message.tool_call_id ?? "") === tool) found = textOf(message);
  }
  return found;
}

/**
 * Replaces templates in every string of a turn:
 * `{{name}}` a value of the script; `{{prompt}}` the matched user message; `{{tool:NAME}}` the latest result of a
 * tool; `{{tool:NAME:/RE/}}` and `{{prompt:/RE/}}` the first group of the expression in it (or the whole match).
 * What cannot be filled becomes the empty string.
 */
export function fill<T>(value: T, context: Context): T {
  if (typeof value === "string") return fillText(value, context) as T;
  if (Array.isArray(value)) return value.map((item) => fill(item, context)) as T;
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, context)])) as T;
  }
  return value;
}

const TEMPLATE = /\{\{(?:(tool):([\w.-]+)|(\w+))(?::\/((?:[^/\\]|\\.)*)\/)?\}\}/g;

function fillText(text: string, context: Context): string {
  return text.replace(TEMPLATE, (_all, tool, toolName: string, name: string, expression?: string) => {
    const source =
      tool === "tool"
        ? lastResult(context.messages, toolName)
        : name === "prompt"
          ? context.prompt
          : context.values[name];
    if (source === undefined) return "";
    if (expression === undefined) return source;
    const match = new RegExp(expression).exec(source);
    return match === null ? "" : (match[1] ?? match[0]);
  });
}
