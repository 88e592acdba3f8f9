/**
 * The tools that an agent is given, whatever host it runs in. Thin doors: arguments are checked, one function of the
 * desk is called, and the answer is short text that says what to do next.
 */
import { z } from "zod";
import { FeedbackRequest, PublishRequest, StatusRequest } from "../protocol/changes.ts";
import { toReviewError } from "../protocol/errors.ts";
import { type Hunk, SuggestionId, type SuggestionSummary } from "../protocol/model.ts";
import { type DecisionsPage, DecisionsQuery, ListQuery } from "../protocol/queries.ts";
import type { ReviewDesk } from "../review/contract.ts";

const text = z.string;
const GetRequest = z.strictObject({ suggestion_id: SuggestionId });
const EndRequest = z.strictObject({
  suggestion_id: SuggestionId,
  action: z.enum(["finalize", "discard", "undo"]),
});

/** Who calls. */
export interface Caller {
  /** The session that what is published belongs to: of a subagent, the one that started it. */
  session?(): Promise<string>;
  /** Ends what waits when the caller is gone. */
  signal?: AbortSignal;
  /** Whether it may still be told something: it is there, and allowed. */
  isThere?(): boolean;
}

export interface DeskTool {
  description: string;
  /** What the model is told of the arguments, by name; `run` checks them. */
  args: z.ZodRawShape;
  /** Only where the developer's settings let the agent decide. */
  decides?: true;
  /** @throws Error with the one sentence that the model sees */
  run(args: unknown, caller: Caller): Promise<string>;
}

/** What the tools work with. */
export interface Toolbox {
  desk: ReviewDesk;
  /** Directory of the agent's repository as the desk knows it; undefined for the only one. */
  project: string | undefined;
  /** How the agent hears of decisions: a link brings them into its conversation, or it asks for them. */
  hears: "told" | "asks";
}

/** Validates, runs, and turns every refusal into the one sentence that the model sees. */
export async function answer<Schema extends z.ZodType>(
  schema: Schema,
  args: unknown,
  work: (request: z.output<Schema>) => Promise<string> | string,
): Promise<string> {
  const given = Object.fromEntries(
    Object.entries(args ?? {}).filter(([, value]) => value !== undefined && value !== null),
  );
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Error(
      `${issue?.path.join(".") || "arguments"}: ${issue?.message ?? "not valid"}. Nothing was changed; call again with it corrected.`,
    );
  }
  try {
    return await work(parsed.data);
  } catch (thrown) {
    throw new Error(toReviewError(thrown).message);
  }
}

export function deskTools(toolbox: Toolbox) {
  return {
    publish_suggestion: publishSuggestion(toolbox),
    suggestion_feedback: suggestionFeedback(toolbox),
    suggestion_status: suggestionStatus(toolbox),
    list_suggestions: listSuggestions(toolbox),
    get_suggestion: getSuggestion(toolbox),
    recall_feedback: recallFeedback(toolbox),
    complete_suggestion: completeSuggestion(toolbox),
  } satisfies Record<string, DeskTool>;
}

const HEARD = {
  told: "The developer's decisions will appear in this conversation.",
  asks: "Call wait_for_feedback to hear what the developer decided.",
};

const publishSuggestion = ({ desk, project, hears }: Toolbox): DeskTool => ({
  description:
    "Publish the current jj change as a suggestion that the developer reviews hunk by hunk. Call it when the change is complete and its tests pass. Publishing the same change again makes a new revision; decisions on unchanged hunks are kept.",
  args: {
    description: text().describe("Human-readable description of the changes; it becomes the commit message"),
    change_id: text().optional().describe("jj change id; the working copy's change if left out"),
  },
  run: (args, { session }) =>
    answer(PublishRequest, args, async (request) => {
      const result = await desk.publish(inProject(request, project), "agent", await session?.());
      return [
        `Published suggestion ${result.suggestion_id}, revision ${result.revision}: ${result.hunk_count} hunks in ${result.files.length} files, ${result.pending_count} to be reviewed.`,
        ...result.files.slice(0, 50).map((file) => `- ${file}`),
        ...(result.files.length > 50 ? [`- … and ${result.files.length - 50} more`] : []),
        ...result.warnings.map((warning) => `Warning: ${warning}`),
        `${HEARD[hears]} Your working copy is now a new change on top; to revise, edit the published change (jj edit) and publish it again.`,
        ...result.feedback,
      ].join("\n");
    }),
});

const suggestionFeedback = ({ desk }: Toolbox): DeskTool => ({
  description:
    "Submit feedback for a suggestion hunk. Only where the developer's settings let the agent decide.",
  args: {
    suggestion_id: text(),
    hunk_id: text(),
    action: z.enum(["accept", "reject", "modify"]),
    modified_diff: text().optional().describe("The edited unified diff, when action is modify"),
    comment: text().optional(),
  },
  decides: true,
  run: (args) =>
    answer(FeedbackRequest, args, (request) => {
      const result = desk.decide(request, "agent");
      return `Recorded. ${result.reviewed_count} of ${result.hunk_count} hunks reviewed, ${result.remaining_hunks} remaining.`;
    }),
});

const suggestionStatus = ({ desk, project }: Toolbox): DeskTool => ({
  description: "Send a one-line status message to the developer, such as what is being tried or tested.",
  args: {
    message: text().describe("One-line status message"),
    suggestion_id: text().optional(),
    status: z.enum(["working", "testing"]).optional(),
  },
  run: (args) =>
    answer(StatusRequest, args, async (request) => {
      const { feedback } = await desk.status(inProject(request, project), "agent");
      return ["Sent.", ...feedback].join("\n");
    }),
});

const listSuggestions = ({ desk, project }: Toolbox): DeskTool => ({
  description: "List all suggestions under review, with how far the review is.",
  args: {},
  run: () =>
    answer(ListQuery, inProject({}, project), (query) => {
      const { suggestions } = desk.list(query);
      if (suggestions.length === 0)
        return "No suggestion is under review. Publish one with publish_suggestion.";
      return suggestions.map(summaryText).join("\n");
    }),
});

const getSuggestion = ({ desk }: Toolbox): DeskTool => ({
  description:
    "Show one suggestion: each hunk with its state, the developer's comments, and its diff where it was not accepted.",
  args: { suggestion_id: text() },
  run: (args) =>
    answer(GetRequest, args, ({ suggestion_id }) => {
      const suggestion = desk.get(suggestion_id);
      const page = desk.hunks(suggestion_id, { limit: 100, offset: 0 });
      return [
        summaryText(suggestion),
        ...page.hunks.map(hunkText),
        ...(page.next === null ? [] : [`… and ${page.total - page.hunks.length} more hunks`]),
      ].join("\n");
    }),
});

const RecallRequest = DecisionsQuery.pick({ text: true, file: true }).extend({
  limit: z.int().min(1).max(50).default(10),
});

const recallFeedback = ({ desk, project }: Toolbox): DeskTool => ({
  description:
    "What the developer decided before and why, of all suggestions, the latest first. Look before you propose something in a file that was reviewed before: what was rejected is not wanted again without a better reason.",
  args: {
    text: text().optional().describe("Part of the reason or of the lines"),
    file: text().optional().describe("A file, or a directory"),
    limit: z.int().optional().describe("How many; 10 if left out, at most 50"),
  },
  run: (args) =>
    answer(RecallRequest, args, (query) => {
      const { decisions } = desk.decisions(inProject(query, project));
      if (decisions.length === 0) return "Nothing like that was decided with a reason.";
      return decisions.map(decisionText).join("\n");
    }),
});

const completeSuggestion = ({ desk }: Toolbox): DeskTool => ({
  description:
    "Finalize (push what was accepted) or discard a suggestion, or undo: take back the discard, or else the last decision. Only where the developer's settings let the agent decide.",
  args: { suggestion_id: text(), action: z.enum(["finalize", "discard", "undo"]) },
  decides: true,
  run: (args) =>
    answer(EndRequest, args, async ({ suggestion_id, action }) => {
      if (action === "undo") {
        const { state, changed } = desk.undo({ suggestion_id }, "agent");
        return state === "open"
          ? "The discard is taken back: the suggestion is under review again."
          : `Taken back: ${changed} decision${changed === 1 ? "" : "s"}.`;
      }
      const request = { suggestion_id, action };
      const result = await desk.complete(request, "agent");
      return result.action === "finalized"
        ? `Finalized: commit ${result.commit} is on ${result.ref}.`
        : "Discarded.";
    }),
});

/** A request about a project, where one is named. */
export function inProject<Request extends object>(
  request: Request,
  project: string | undefined,
): Request & { project?: string } {
  return project === undefined ? request : { ...request, project };
}

function summaryText(suggestion: SuggestionSummary): string {
  return [
    `${suggestion.id} (${suggestion.state}, ${suggestion.status}): ${JSON.stringify(suggestion.description.split("\n", 1)[0])}`,
    `  change ${suggestion.jj_change_id.slice(0, 12)}, revision ${suggestion.revision}, ${suggestion.reviewed_count} of ${suggestion.hunk_count} hunks reviewed (${suggestion.accepted_count} accepted, ${suggestion.rejected_count} rejected)`,
    ...(suggestion.base_moved ? ["  the shared branch has moved past its base"] : []),
  ].join("\n");
}

const DIFF_LINES = 60;
/** Of what was decided before, only as much as to know it again. */
const RECALLED_LINES = 12;

/** Lines of a diff as they are quoted: data, whatever they say. */
const quoted = (diff: string, lines: number): string[] =>
  diff === ""
    ? []
    : diff
        .split("\n")
        .slice(0, lines)
        .map((line) => `    | ${line.slice(0, 400)}`);

function decisionText(decision: DecisionsPage["decisions"][number]): string {
  const { file, state, at, comment, modified_diff } = decision;
  return [
    `- ${at.slice(0, 10)} ${file} ${state}${comment === undefined ? "" : `: ${JSON.stringify(comment)}`}`,
    ...quoted(modified_diff ?? decision.diff, RECALLED_LINES),
  ].join("\n");
}

function hunkText(hunk: Hunk): string {
  const lines = [`- ${hunk.id} [${hunk.kind}] ${hunk.state}`];
  if (hunk.decision?.comment !== undefined)
    lines.push(`  developer's comment: ${JSON.stringify(hunk.decision.comment)}`);
  for (const comment of hunk.comments ?? []) lines.push(`  ${comment.by}: ${JSON.stringify(comment.text)}`);
  const diff = hunk.decision?.modified_diff ?? (hunk.state === "accepted" ? "" : hunk.diff);
  return [...lines, ...quoted(diff, DIFF_LINES)].join("\n");
}

/** Names of the tools; making them asks nothing of a desk. */
export const TOOL_NAMES: ReadonlySet<string> = new Set(Object.keys(deskTools({} as Toolbox)));
