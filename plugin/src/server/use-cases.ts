/**
 * The use cases that change something, each with its route and who may call it; what each is asked with and what it
 * answers stand in `protocol/changes.ts` and `protocol/queries.ts`. HTTP and WebSocket are both made from this table,
 * so that neither door can allow what the other refuses.
 */
import type { z } from "zod";
import { PermissionReplyRequest, QuestionReplyRequest } from "../protocol/activity.ts";
import { ANSWERS, REQUESTS, type UseCaseName } from "../protocol/changes.ts";
import { type ErrorCode, ReviewError } from "../protocol/errors.ts";
import {
  CompactSessionRequest,
  DeleteSessionRequest,
  ForkSessionRequest,
  RenameSessionRequest,
} from "../protocol/sessions.ts";
import type { ReviewDesk } from "../review/contract.ts";
import type { Access } from "./access.ts";
import type { Tag } from "./route.ts";
import type { Role } from "./tokens/tokens.ts";

export interface UseCase {
  /** Of its route. */
  path: string;
  /** Where the path names what the request is about: the field of the request that `:id` stands for. */
  idField?: string;
  /** The request's body where it has not all fields of the request. */
  body?: z.ZodType;
  status: 200 | 201;
  access: Access;
  tag: Tag;
  /** A request, for the published document. */
  example: object;
  summary: string;
  request: z.ZodType;
  answer: z.ZodType;
  errors: ErrorCode[];
  run(desk: ReviewDesk, request: unknown, actor: Role): unknown;
}

type AnswerOf<Name extends UseCaseName> = z.output<(typeof ANSWERS)[Name]>;

function useCase<Name extends UseCaseName>(
  name: Name,
  definition: {
    path: string;
    idField?: keyof z.output<(typeof REQUESTS)[Name]> & string;
    body?: z.ZodType;
    status?: 201;
    access: Access;
    tag: Tag;
    example: z.input<(typeof REQUESTS)[Name]> & object;
    summary: string;
    errors?: ErrorCode[];
    run(
      desk: ReviewDesk,
      request: z.output<(typeof REQUESTS)[Name]>,
      actor: Role,
    ): AnswerOf<Name> | Promise<AnswerOf<Name>>;
  },
): UseCase {
  return {
    ...definition,
    status: definition.status ?? 200,
    request: REQUESTS[name],
    answer: ANSWERS[name],
    errors: [...(definition.errors ?? []), ...WRITING],
    // The door has parsed the request with this very schema.
    run: (desk, request, actor) =>
      patiently(() => definition.run(desk, request as z.output<(typeof REQUESTS)[Name]>, actor)),
  };
}

/** How long, in milliseconds, a request waits for another process's write, and how often it looks again. */
const LEDGER_WAIT_MS = 500;
const LEDGER_RETRY_MS = 25;

/** Tries again, asynchronously, what another process's lock on the ledger kept from changing anything. */
function patiently<Answer>(work: () => Answer | Promise<Answer>): Answer | Promise<Answer> {
  const again = async (thrown: unknown, deadline: number): Promise<Answer> => {
    if (!isLedgerBusy(thrown) || performance.now() > deadline) throw thrown;
    await Bun.sleep(LEDGER_RETRY_MS);
    try {
      return await work();
    } catch (next) {
      return again(next, deadline);
    }
  };
  const deadline = performance.now() + LEDGER_WAIT_MS;
  try {
    const answer = work();
    return answer instanceof Promise ? answer.catch((thrown) => again(thrown, deadline)) : answer;
  } catch (thrown) {
    return again(thrown, deadline);
  }
}

const isLedgerBusy = (thrown: unknown): boolean =>
  thrown instanceof ReviewError && thrown.code === "ledger_busy";

/** What any use case that writes may answer. */
export const WRITING: ErrorCode[] = ["ledger_busy", "state_damaged", "storage_full"];
/** Of the examples. */
const ID = "0198c0de-0000-7000-8000-000000000001";
const HUNK = `${ID}:src/a.ts:0`;

const DECIDING: ErrorCode[] = ["not_found", "stale_hunk", "suggestion_closed", "request_reused"];

const A_SESSION = { session_id: "ses_1" };

/** What the use cases about one of the agent's sessions have in common. */
function session<Shape extends { session_id: z.ZodType }>(verb: string, request: z.ZodObject<Shape>) {
  return {
    path: `/agent/sessions/:id/${verb}`,
    idField: "session_id" as const,
    body: request.omit({ session_id: true } as never),
    access: "developer" as const,
    tag: "agent" as const,
    errors: ["not_found", "nothing_to_do"] satisfies ErrorCode[],
  };
}

export const USE_CASES = {
  publish: useCase("publish", {
    path: "/suggestions",
    status: 201,
    access: "report",
    tag: "suggestions",
    example: { description: "Validate the input", change_id: "@" },
    summary: "Publish a jj change as a suggestion, or as a new revision of one",
    errors: [
      "not_found",
      "nothing_to_do",
      "unpublishable",
      "suggestion_closed",
      "request_reused",
      "jj_error",
    ],
    run: (desk, request, actor) => desk.publish(request, actor),
  }),
  feedback: useCase("feedback", {
    path: "/feedback",
    access: "decide",
    tag: "review",
    example: { suggestion_id: ID, hunk_id: HUNK, action: "reject", comment: "Throw instead" },
    summary: "Decide one hunk: accept, reject or modify",
    errors: [...DECIDING, "invalid_modification"],
    run: (desk, request, actor) => desk.decide(request, actor),
  }),
  batch: useCase("batch", {
    path: "/feedback/batch",
    access: "decide",
    tag: "review",
    example: { suggestion_id: ID, scope: { action: "accept", file: "src/a.ts" } },
    summary: "Decide many hunks as one: all of them or none",
    errors: [...DECIDING, "invalid_modification", "nothing_to_do"],
    run: (desk, request, actor) => desk.decideMany(request, actor),
  }),
  undo: useCase("undo", {
    path: "/undo",
    access: "decide",
    tag: "review",
    example: { suggestion_id: ID, request_id: "undo-1" },
    summary: "Undo a hunk's last decision, or the suggestion's",
    errors: ["not_found", "nothing_to_do", "suggestion_closed", "request_reused"],
    run: (desk, request, actor) => desk.undo(request, actor),
  }),
  redo: useCase("redo", {
    path: "/redo",
    access: "decide",
    tag: "review",
    example: { suggestion_id: ID },
    summary: "Do again what was last undone",
    errors: ["not_found", "nothing_to_do", "suggestion_closed", "request_reused"],
    run: (desk, request, actor) => desk.redo(request, actor),
  }),
  comment: useCase("comment", {
    path: "/comments",
    access: "decide",
    tag: "review",
    example: { suggestion_id: ID, hunk_id: HUNK, comment: "Why not a set?" },
    summary: "Comment on a hunk without deciding it",
    errors: ["not_found", "suggestion_closed", "request_reused"],
    run: (desk, request, actor) => desk.comment(request, actor),
  }),
  complete: useCase("complete", {
    path: "/complete",
    access: "decide",
    tag: "finish",
    example: { suggestion_id: ID, action: "finalize", request_id: "finalize-1" },
    summary: "Finalize (commit and push what was accepted) or discard a suggestion",
    errors: [
      "not_found",
      "suggestion_closed",
      "nothing_to_do",
      "merge_conflict",
      "push_rejected",
      "request_reused",
    ],
    run: (desk, request, actor) => desk.complete(request, actor),
  }),
  revise: useCase("revise", {
    path: "/revise",
    access: "decide",
    tag: "agent",
    example: { suggestion_id: ID, comment: "Keep the old name" },
    summary: "Tell the agent to act on the rejections now",
    errors: ["not_found", "suggestion_closed", "request_reused"],
    run: (desk, request, actor) => desk.revise(request, actor),
  }),
  rebase: useCase("rebase", {
    path: "/rebase",
    access: "decide",
    tag: "finish",
    example: { suggestion_id: ID },
    summary: "Move a suggestion onto the shared branch as a new revision",
    errors: [
      "not_found",
      "suggestion_closed",
      "nothing_to_do",
      "unpublishable",
      "merge_conflict",
      "request_reused",
    ],
    run: (desk, request, actor) => desk.rebase(request, actor),
  }),
  verify: useCase("verify", {
    path: "/verify",
    access: "decide",
    tag: "finish",
    example: { suggestion_id: ID },
    summary: "Run the configured check on the accepted tree alone",
    errors: ["not_found", "suggestion_closed"],
    run: (desk, request, actor) => desk.verify(request, actor),
  }),
  settle: useCase("settle", {
    path: "/settle",
    access: "report",
    tag: "agent",
    example: {},
    summary: "The agent is at a quiet moment: bring its working copy up to the decisions",
    errors: ["not_found"],
    run: (desk, request, actor) => desk.settle(request, actor),
  }),
  status: useCase("status", {
    path: "/status",
    access: "report",
    tag: "agent",
    example: { message: "Running the tests", status: "testing" },
    summary: "Tell the developer in one line what the agent is doing",
    errors: ["not_found"],
    run: (desk, request, actor) => desk.status(request, actor),
  }),
  ask: useCase("ask", {
    path: "/ask",
    access: "decide",
    tag: "agent",
    example: { text: "Validate the input of greet()" },
    summary: "Send the agent a prompt, in the last session, a chosen one or a new one",
    errors: ["not_found", "nothing_to_do", "request_reused"],
    run: (desk, request, actor) => desk.ask(request, actor),
  }),
  abort: useCase("abort", {
    path: "/abort",
    access: "decide",
    tag: "agent",
    example: {},
    summary: "Stop the agent's running turn",
    errors: ["not_found", "nothing_to_do"],
    run: (desk, request, actor) => desk.abort(request, actor),
  }),
  refusals: useCase("refusals", {
    path: "/sandbox/refusals",
    access: "decide",
    tag: "agent",
    example: {
      refusals: [{ kind: "network", target: "example.org:443", reason: "not on the list", count: 1 }],
    },
    summary: "Report what the rings around the agent refused; whoever made them does",
    errors: ["not_found"],
    run: (desk, request, actor) => desk.refusals(request, actor),
  }),
  permission: useCase("permission", {
    path: "/agent/permissions/:id",
    idField: "permission_id",
    body: PermissionReplyRequest,
    access: "developer",
    tag: "agent",
    example: { permission_id: "per_1", reply: "once" },
    summary: "Answer a permission that the agent waits for; the first answer counts",
    errors: ["not_found", "not_waiting", "unavailable"],
    run: (desk, request, actor) => desk.permission(request, actor),
  }),
  question: useCase("question", {
    path: "/agent/questions/:id",
    idField: "question_id",
    body: QuestionReplyRequest,
    access: "developer",
    tag: "agent",
    example: { question_id: "que_1", answers: [["Yes"]] },
    summary: "Answer a question of the agent's; the first answer counts",
    errors: ["not_found", "not_waiting", "unavailable"],
    run: (desk, request, actor) => desk.question(request, actor),
  }),
  renameSession: useCase("renameSession", {
    ...session("rename", RenameSessionRequest),
    example: { ...A_SESSION, title: "Input checks" },
    summary: "Give one of the agent's sessions a title",
    run: (desk, request, actor) => desk.renameSession(request, actor),
  }),
  forkSession: useCase("forkSession", {
    ...session("fork", ForkSessionRequest),
    example: A_SESSION,
    summary: "Begin a session that has what another has, up to a message or to its end",
    run: (desk, request, actor) => desk.forkSession(request, actor),
  }),
  compactSession: useCase("compactSession", {
    ...session("compact", CompactSessionRequest),
    example: A_SESSION,
    summary: "Let the agent go on from a summary of a session; nothing of it is deleted",
    run: (desk, request, actor) => desk.compactSession(request, actor),
  }),
  deleteSession: useCase("deleteSession", {
    ...session("delete", DeleteSessionRequest),
    example: A_SESSION,
    summary: "Delete a session that is idle, with what its subagents did; suggestions stay",
    run: (desk, request, actor) => desk.deleteSession(request, actor),
  }),
} satisfies Record<UseCaseName, UseCase>;
