/** What the host says of a part of a message, as the body of an entry. Pure. */
import type { Part, PermissionRequest, QuestionInfo, ToolPart } from "@opencode-ai/sdk/v2";
import { type BodyOf, MOST_INPUT, MOST_OUTPUT, MOST_TEXT } from "../../protocol/activity.ts";
import { beginningOf, endOf } from "./texts.ts";

export type SpokenPart = Extract<Part, { type: "text" | "reasoning" }>;

/** Of a permission. */
const MOST_PATTERNS = 64;

const STATUS = { pending: "pending", running: "running", completed: "completed", error: "failed" } as const;

export function messageBody(
  part: SpokenPart,
  role: "user" | "assistant",
  text: string,
  done: boolean,
): BodyOf<"agent.message"> {
  return {
    type: "agent.message",
    message_id: part.messageID,
    role,
    kind: part.type,
    ...beginningOf(text, MOST_TEXT),
    done,
    ...(part.type === "text" && part.synthetic === true ? { synthetic: true } : {}),
  };
}

export function toolBody({ messageID, callID, tool, state }: ToolPart): BodyOf<"agent.tool"> {
  const input = Object.keys(state.input).length === 0 ? "" : JSON.stringify(state.input);
  const given = beginningOf(input, MOST_INPUT);
  const metadata = "metadata" in state ? state.metadata : undefined;
  const soFar = typeof metadata?.output === "string" ? metadata.output : "";
  const output = endOf(state.status === "completed" ? state.output : soFar, MOST_OUTPUT);
  const title = "title" in state && state.title !== undefined && state.title !== "" ? state.title : undefined;
  const child = metadata?.sessionId;
  return {
    type: "agent.tool",
    message_id: messageID,
    call_id: callID,
    tool,
    status: STATUS[state.status],
    ...(title === undefined ? {} : { title: beginningOf(title, 1000).text }),
    input: given.text,
    input_cut: given.cut,
    output: output.text,
    output_cut: output.cut,
    ...(state.status === "error" ? { error: beginningOf(state.error, MOST_OUTPUT).text } : {}),
    ...(typeof child === "string" ? { child_session_id: child } : {}),
  };
}

export function permissionBody(asked: PermissionRequest): BodyOf<"agent.permission"> {
  const { command, filepath, diff } = asked.metadata;
  let cut = 0;
  const kept = (text: string, most: number): string => {
    const part = beginningOf(text, most);
    cut += part.cut;
    return part.text;
  };
  const all = (patterns: readonly string[]): string[] => {
    for (const left of patterns.slice(MOST_PATTERNS)) cut += Buffer.byteLength(left);
    return patterns.slice(0, MOST_PATTERNS).map((pattern) => kept(pattern, MOST_INPUT));
  };
  const body = {
    type: "agent.permission",
    state: "asked",
    ...(asked.tool === undefined ? {} : { call_id: asked.tool.callID }),
    permission: asked.permission,
    patterns: all(asked.patterns),
    always: all(asked.always),
    ...(typeof command === "string" ? { command: kept(command, MOST_TEXT) } : {}),
    ...(typeof filepath === "string" ? { file: filepath } : {}),
    ...(typeof diff === "string" ? { diff: kept(diff, MOST_OUTPUT) } : {}),
  } as const;
  return { ...body, cut };
}

export function questionBody(
  questions: readonly QuestionInfo[],
  call: string | undefined,
): BodyOf<"agent.question"> {
  return {
    type: "agent.question",
    state: "asked",
    ...(call === undefined ? {} : { call_id: call }),
    questions: questions.map(({ question, header, options, multiple, custom }) => ({
      question,
      header,
      options,
      multiple: multiple === true,
      // The host's own default.
      custom: custom !== false,
    })),
  };
}
