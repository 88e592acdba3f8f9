/** WebSocket commands: text in, response object out. Knows the protocol, not the socket. */
import type { z } from "zod";
import { REQUESTS, type UseCaseName } from "../../protocol/changes.ts";
import { Command, camelCase, type Response, requestOf } from "../../protocol/commands.ts";
import { ReviewError, toReviewError } from "../../protocol/errors.ts";
import { PROTOCOL_VERSION } from "../../protocol/version.ts";
import { checkAccess } from "../access.ts";
import { activityPage, checkActivitySince, transcriptPage } from "../activity-lookups.ts";
import type { Context } from "../context.ts";
import { parseJson } from "../http/body.ts";
import { checkFile, checkId, checkSince } from "../lookups.ts";
import type { Identity } from "../tokens/tokens.ts";
import { USE_CASES } from "../use-cases.ts";
import { check } from "../validate.ts";

type Subscribe = Extract<z.output<typeof Command>, { type: "subscribe" }>;
type Watch = Extract<z.output<typeof Command>, { type: "watch" }>;
type CommandId = Response["id"];

/** What a command leads to: an answer, and for `subscribe` and `watch` something to do once the answer is on its way. */
export interface Outcome {
  type: string;
  id: CommandId;
  success: boolean;
  /** The response as it is sent. */
  text: string;
  subscribe?: Subscribe;
  watch?: Watch;
}

export async function runCommand(context: Context, identity: Identity, text: string): Promise<Outcome> {
  let id: CommandId;
  let type = "unknown";
  try {
    const raw = parseJson(text, "Command");
    id = commandId(raw);
    checkType(raw);
    const command = check(Command, raw, "Command", camelCase);
    type = command.type;
    if (command.type === "subscribe") {
      const data = subscribed(context, command);
      return { type, id, success: true, text: succeeded(id, JSON.stringify(data)), subscribe: command };
    }
    if (isOfTheAgent(command)) checkAccess("developer", identity.role, context.config.agentMayApprove);
    if (command.type === "watch") {
      const data = watched(context, command);
      return { type, id, success: true, text: succeeded(id, JSON.stringify(data)), watch: command };
    }
    if (command.type === "activity")
      return { type, id, success: true, text: succeeded(id, activityPage(context.desk, command)) };
    const data =
      command.type === "list"
        ? `{"type":"suggestion.list",${context.lists.page(command).slice(1)}`
        : JSON.stringify(await perform(context, identity, command));
    return { type, id, success: true, text: succeeded(id, data) };
  } catch (thrown) {
    const error = toReviewError(thrown);
    if (error.code === "internal") context.log.error("command failed", { type, error: error.cause ?? error });
    return { type, id, success: false, text: failed(id, error) };
  }
}

/** @param data JSON text */
function succeeded(id: CommandId, data: string): string {
  const echoed = id === undefined ? "" : `"id":${JSON.stringify(id)},`;
  return `{"type":"response",${echoed}"success":true,"data":${data}}`;
}

export function failed(id: CommandId, error: ReviewError): string {
  const response: Response = {
    type: "response",
    ...(id === undefined ? {} : { id }),
    success: false,
    error: error.message,
    code: error.code,
    ...(error.details === undefined ? {} : { details: error.details }),
  };
  return JSON.stringify(response);
}

const TYPES = Command.options.map((option) => option.shape.type.value);

/** Asked before the schema, whose complaint about an unknown `type` would name none that is known. */
function checkType(raw: unknown): void {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw new ReviewError("invalid_request", "Command: expected a JSON object with a type");
  }
  if ("type" in raw && TYPES.some((type) => type === raw.type)) return;
  throw new ReviewError("invalid_request", `Command: type: expected one of ${TYPES.join(", ")}`, {
    details: { field: "type", expected: TYPES },
  });
}

/** The id is echoed even when the rest of the command is not understood, so that the caller learns of it. */
function commandId(raw: unknown): CommandId {
  const id = typeof raw === "object" && raw !== null && "id" in raw ? raw.id : undefined;
  return (typeof id === "string" && id.length <= 128) || typeof id === "number" ? id : undefined;
}

function subscribed(context: Context, command: Subscribe): Record<string, unknown> {
  checkSince(context.desk, command.since, "Command: since");
  return { since: command.since, last_seq: context.desk.lastSeq(), protocol: PROTOCOL_VERSION };
}

const OF_THE_AGENT = [
  "activity",
  "watch",
  "permissions",
  "questions",
  "sessions",
  "choices",
  "commands",
  "transcript",
];
const isOfTheAgent = ({ type }: { type: string }): boolean => OF_THE_AGENT.includes(type);

function watched(context: Context, { since }: Watch): Record<string, unknown> {
  const last = context.desk.lastActivity();
  if (since !== undefined) checkActivitySince(context.desk, since, "Command: since");
  return { since: since ?? last, last };
}

async function perform(
  context: Context,
  identity: Identity,
  command: Exclude<z.output<typeof Command>, { type: "subscribe" | "list" | "watch" | "activity" }>,
): Promise<Record<string, unknown>> {
  const { desk } = context;
  switch (command.type) {
    case "ping":
      return { type: "pong" };
    case "get":
      return { ...desk.get(checkId(command.suggestionId)) };
    case "hunks": {
      const { type: _type, id: _id, suggestionId, ...query } = command;
      return { ...desk.hunks(checkId(suggestionId), query) };
    }
    case "content": {
      const { type: _type, id: _id, suggestionId, ...query } = command;
      checkFile(query.file);
      return { ...(await desk.content(checkId(suggestionId), query)) };
    }
    case "why":
      return { ...(await desk.why(checkId(command.suggestionId), command.hunkId, identity.role)) };
    case "permissions":
      return { permissions: await desk.waiting("agent.permission", command.project) };
    case "questions":
      return { questions: await desk.waiting("agent.question", command.project) };
    case "sessions": {
      const { type: _type, id: _id, ...query } = command;
      return { ...(await desk.sessions(query)) };
    }
    case "choices":
      return { ...(await desk.choices({ project: command.project })) };
    case "transcript":
      return { ...transcriptPage(await desk.transcript(command), command.offset) };
    case "commands":
      return { ...(await desk.slashCommands({ project: command.project })) };
    case "feedback":
    case "complete": {
      // Who may not is told so before what is wrong with it.
      checkAccess(USE_CASES[command.type].access, identity.role, context.config.agentMayApprove);
      const request = check(REQUESTS[command.type], requestOf(command), "Command", camelCase);
      return runUseCase(context, identity, command.type, request);
    }
    default:
      // Its schema holds the request's own: it is checked already.
      return runUseCase(context, identity, command.type, command.request);
  }
}

/** @param request as the use case's schema gives it */
async function runUseCase(
  context: Context,
  identity: Identity,
  name: UseCaseName,
  request: unknown,
): Promise<Record<string, unknown>> {
  const { access, run } = USE_CASES[name];
  checkAccess(access, identity.role, context.config.agentMayApprove);
  return (await run(context.desk, request, identity.role)) as Record<string, unknown>;
}
