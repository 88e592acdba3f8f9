/**
 * What the agent does, for the developer to see: turns, messages, tool calls, todos, what it asks, what it uses. An entry
 * is one thing that goes on changing until it is over: a later form of it has the same `id` and `position` and a higher
 * `number`. Taking entries in by `id` and showing them by `position` gives the same view to who was there all the time
 * and to who comes later.
 */
import { z } from "zod";

/** Most bytes of a message's text. Written as JSON it is at most six times as long, and fits in one message. */
export const MOST_TEXT = 131_072;
/** Most bytes of a call's input, and of the end of its output that is kept. */
export const MOST_INPUT = 16_384;
export const MOST_OUTPUT = 16_384;
/** Most bytes, as JSON, of the arguments of a call that can be edited: they are in its entry whole, and twice. */
export const MOST_ARGUMENTS = 65_536;

const time = z.string().describe("ISO 8601 time");
const cut = z.int().min(0).describe("Bytes left out for their number; the agent's own session has them");

const turn = z.object({
  type: z.literal("agent.turn"),
  state: z.enum(["began", "ended"]),
  prompt: z.string().optional().describe("What the turn answers, shortened"),
  end: z
    .enum(["done", "stopped", "failed", "cut_off"])
    .optional()
    .describe("cut_off: its host ended before the turn did"),
  message: z.string().optional().describe("Why it failed"),
});

const message = z.object({
  type: z.literal("agent.message"),
  message_id: z.string(),
  role: z.enum(["user", "assistant"]),
  kind: z.enum(["text", "reasoning"]),
  text: z.string().describe("The whole text so far"),
  cut,
  done: z.boolean().describe("Nothing more comes"),
  synthetic: z.boolean().optional().describe("Put in by a program, for the model to know"),
});

const tool = z.object({
  type: z.literal("agent.tool"),
  message_id: z.string(),
  call_id: z.string(),
  tool: z.string(),
  status: z.enum(["pending", "running", "completed", "failed"]),
  title: z.string().optional(),
  input: z.string().describe("Arguments as JSON text; empty as long as they are not known"),
  input_cut: cut,
  output: z.string().describe("The end of what came out so far"),
  output_cut: cut,
  error: z.string().optional(),
  child_session_id: z.string().optional().describe("The subagent's session that this call started"),
});

const todo = z.object({
  type: z.literal("agent.todo"),
  todos: z.array(z.object({ content: z.string(), status: z.string(), priority: z.string() })),
});

const asked = {
  state: z
    .enum(["asked", "answered", "gone"])
    .describe("gone: it waits no more and was not answered; nothing was approved"),
  call_id: z.string().optional().describe("The tool call that waits"),
  by: z
    .enum(["developer", "opencode"])
    .optional()
    .describe(
      "Who answered. opencode: another client of it, or it followed there from the answer to another ask",
    ),
  answered_at: time.optional(),
  reason: z.string().optional().describe("Why it is gone"),
};

export const PermissionReply = z.enum(["once", "always", "edit", "reject"]);
export type PermissionReply = z.infer<typeof PermissionReply>;

const callArguments = z.record(z.string(), z.unknown());
export type CallArguments = z.infer<typeof callArguments>;

const permission = z.object({
  type: z.literal("agent.permission"),
  ...asked,
  permission: z.string().describe("What is asked for, such as bash, edit or external_directory"),
  patterns: z.array(z.string()).describe("What it is asked for on"),
  always: z.array(z.string()).describe("What `always` would allow from then on"),
  command: z.string().optional(),
  file: z.string().optional(),
  diff: z.string().optional().describe("What an edit would change, shortened"),
  cut: z
    .int()
    .min(0)
    .describe("Bytes of all this that are left out: with any, what is asked for is not here whole"),
  editable: z
    .boolean()
    .optional()
    .describe("The call is held before it begins: the reply `edit` changes what runs"),
  arguments: callArguments
    .optional()
    .describe("Of a call that is held: its arguments, whole, as the model made them"),
  reply: PermissionReply.optional(),
  edited: callArguments.optional().describe("With the reply `edit`: the arguments that it ran with"),
  message: z.string().optional().describe("What the agent is told with a rejection"),
});

export const AskedQuestion = z.object({
  question: z.string(),
  header: z.string(),
  options: z.array(z.object({ label: z.string(), description: z.string() })),
  multiple: z.boolean().describe("More than one option may be chosen"),
  custom: z.boolean().describe("An answer of one's own may be given"),
});

const question = z.object({
  type: z.literal("agent.question"),
  ...asked,
  questions: z.array(AskedQuestion),
  answers: z.array(z.array(z.string())).optional().describe("Of each question; absent where it was rejected"),
});

const usage = z.object({
  type: z.literal("agent.usage"),
  message_id: z.string(),
  provider: z.string(),
  model: z.string(),
  agent: z.string(),
  tokens: z.object({
    input: z.number(),
    output: z.number(),
    reasoning: z.number(),
    cache_read: z.number(),
    cache_write: z.number(),
  }),
  cost: z.number().describe("US dollars, by opencode's own table"),
});

const notice = z.object({
  type: z.literal("agent.notice"),
  kind: z
    .enum(["retry", "compaction", "error", "dropped"])
    .describe("dropped: entries of this root session up to the position `upto` are no longer kept here"),
  message: z.string(),
  attempt: z.int().optional(),
  next_at: time.optional().describe("Of the next attempt"),
  upto: z.int().optional(),
});

/** An entry as its maker writes it. */
export const ActivityBody = z.discriminatedUnion("type", [
  turn,
  message,
  tool,
  todo,
  permission,
  question,
  usage,
  notice,
]);
export type ActivityBody = z.infer<typeof ActivityBody>;
export type ActivityType = ActivityBody["type"];
export type BodyOf<Type extends ActivityType> = Extract<ActivityBody, { type: Type }>;

const stamp = {
  id: z.string().describe("The same in every form of an entry"),
  number: z.int().min(1).describe("Of this form: higher than that of every form written before, with gaps"),
  position: z.int().min(1).describe("Place among the entries: stays as it was when the entry began"),
  project: z.string().describe("Absolute path of the project"),
  session_id: z.string(),
  root_session_id: z.string().describe("The session at the top: another one than session_id for a subagent"),
  at: time.describe("When it began"),
  ts: time.describe("When it became as it is"),
  removed: z
    .boolean()
    .optional()
    .describe("The agent's session has it no more (a revert, say): not to be shown"),
};

// Each kind as clients receive it: one object with all its fields, as events are.
export const TurnEntry = z.object({ ...stamp, ...turn.shape });
export const MessageEntry = z.object({ ...stamp, ...message.shape });
export const ToolEntry = z.object({ ...stamp, ...tool.shape });
export const TodoEntry = z.object({ ...stamp, ...todo.shape });
export const PermissionEntry = z.object({ ...stamp, ...permission.shape });
export const QuestionEntry = z.object({ ...stamp, ...question.shape });
export const UsageEntry = z.object({ ...stamp, ...usage.shape });
export const NoticeEntry = z.object({ ...stamp, ...notice.shape });
export type PermissionEntry = z.infer<typeof PermissionEntry>;
export type QuestionEntry = z.infer<typeof QuestionEntry>;

export const ActivityEntry = z.discriminatedUnion("type", [
  TurnEntry,
  MessageEntry,
  ToolEntry,
  TodoEntry,
  PermissionEntry,
  QuestionEntry,
  UsageEntry,
  NoticeEntry,
]);
export type ActivityEntry = z.infer<typeof ActivityEntry>;
export type EntryOf<Type extends ActivityType> = Extract<ActivityEntry, { type: Type }>;

/** What a WebSocket that watches gets for each form of an entry, and what stands in `data:` of the event stream. */
export const ActivityMessage = z.object({ type: z.literal("agent.activity"), entry: ActivityEntry });

const since = z.coerce.number().int().min(0).default(0).describe("Entries whose number is higher");
const session = z
  .string()
  .max(256)
  .optional()
  .describe("Only this session; of a session at the top also what its subagents do");
const project = z.string().optional();

export const ActivityQuery = z.strictObject({
  session,
  project,
  since,
  limit: z.coerce.number().int().min(1).max(1000).default(200),
});
export type ActivityQuery = z.infer<typeof ActivityQuery>;

export const ActivityStreamQuery = ActivityQuery.omit({ limit: true });
export type ActivityStreamQuery = z.infer<typeof ActivityStreamQuery>;

export const AsksQuery = z.strictObject({ project });
export type AsksQuery = z.infer<typeof AsksQuery>;

export const ActivityAnswer = z.object({
  entries: z.array(ActivityEntry).describe("In the order of their numbers"),
  last: z.int().describe("The highest number that was given so far"),
  next: z.int().nullable().describe("`since` of the next page, null at the end"),
});

export const PermissionsAnswer = z.object({
  permissions: z.array(PermissionEntry).describe("Those that wait for an answer, the oldest first"),
});
export const QuestionsAnswer = z.object({
  questions: z.array(QuestionEntry).describe("Those that wait for an answer, the oldest first"),
});

const permissionReply = {
  reply: PermissionReply.describe(
    "once: this call runs; always: what matches `always` runs from then on in this run of opencode; edit: it runs with other arguments, where the entry is `editable`; reject: it does not run",
  ),
  arguments: callArguments
    .optional()
    .describe(
      "With edit: fields of the entry's `arguments` with what stands there instead, of the same types; those left out stay as they are",
    ),
  message: z
    .string()
    .min(1)
    .max(16_384)
    .optional()
    .describe("With reject: what to do instead. The turn then goes on; without it the turn ends"),
};
const messageOnlyRejects = ({ reply, message }: { reply: PermissionReply; message?: string | undefined }) =>
  message === undefined || reply === "reject";
const messageIssue = { path: ["message"], message: "expected a message only when reply is reject" };
const argumentsEdit = ({
  reply,
  arguments: edited,
}: {
  reply: PermissionReply;
  arguments?: CallArguments | undefined;
}) => (edited !== undefined) === (reply === "edit");
const argumentsIssue = {
  path: ["arguments"],
  message: "expected arguments when reply is edit, and only then",
};

/** `POST /agent/permissions/:id` */
export const PermissionReplyRequest = z
  .strictObject(permissionReply)
  .refine(messageOnlyRejects, messageIssue)
  .refine(argumentsEdit, argumentsIssue);

export const PermissionRequest = z
  .strictObject({ permission_id: z.string().min(1).max(256), ...permissionReply })
  .refine(messageOnlyRejects, messageIssue)
  .refine(argumentsEdit, argumentsIssue);
export type PermissionRequest = z.infer<typeof PermissionRequest>;

const questionReply = {
  answers: z
    .array(z.array(z.string().min(1).max(16_384)).max(64))
    .min(1)
    .max(64)
    .optional()
    .describe("For each question the chosen labels, or words of one's own"),
  reject: z.literal(true).optional().describe("Not answered: the call fails, and the agent is told so"),
};
const eitherOr = ({ answers, reject }: { answers?: string[][] | undefined; reject?: true | undefined }) =>
  (answers === undefined) !== (reject === undefined);
const eitherIssue = { path: ["answers"], message: "expected either answers or reject" };

/** `POST /agent/questions/:id` */
export const QuestionReplyRequest = z.strictObject(questionReply).refine(eitherOr, eitherIssue);

export const QuestionRequest = z
  .strictObject({ question_id: z.string().min(1).max(256), ...questionReply })
  .refine(eitherOr, eitherIssue);
export type QuestionRequest = z.infer<typeof QuestionRequest>;

export const PermissionAnswer = z.object({ success: z.literal(true), permission: PermissionEntry });
export const QuestionAnswer = z.object({ success: z.literal(true), question: QuestionEntry });
export type PermissionResult = z.output<typeof PermissionAnswer>;
export type QuestionResult = z.output<typeof QuestionAnswer>;
