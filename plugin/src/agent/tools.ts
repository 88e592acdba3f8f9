/**
 * The tools the agent is given. Thin doors: arguments are checked (the host does not), one function of the desk is
 * called, and the answer is short text that says what to do next.
 */
import { type ToolDefinition, tool } from "@opencode-ai/plugin";
import { z } from "zod";
import { FeedbackRequest, PublishRequest, StatusRequest } from "../protocol/changes.ts";
import { toReviewError } from "../protocol/errors.ts";
import { type Hunk, SuggestionId, type SuggestionSummary } from "../protocol/model.ts";
import { ListQuery } from "../protocol/queries.ts";
import type { ReviewDesk } from "../review/contract.ts";

const text = tool.schema.string;
const GetRequest = z.strictObject({ suggestion_id: SuggestionId });
const EndRequest = z.strictObject({
  suggestion_id: SuggestionId,
  action: z.enum(["finalize", "discard", "undo"]),
});

/** Validates, runs, and turns every refusal into the one sentence that the model sees. */
async function answer<Schema extends z.ZodType>(
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

/** What the tools work with. */
interface Toolbox {
  desk: ReviewDesk;
  /** Directory of the agent's repository, as the desk knows it. */
  project: string;
  /** The session that a published suggestion belongs to: of a subagent, the one that started it. */
  rootOf(session: string): Promise<string>;
}

export function createTools(
  desk: ReviewDesk,
  project: string,
  rootOf: Toolbox["rootOf"],
): Record<string, ToolDefinition> {
  const toolbox = { desk, project, rootOf };
  return {
    publish_suggestion: publishSuggestion(toolbox),
    suggestion_feedback: suggestionFeedback(toolbox),
    suggestion_status: suggestionStatus(toolbox),
    list_suggestions: listSuggestions(toolbox),
    get_suggestion: getSuggestion(toolbox),
    complete_suggestion: completeSuggestion(toolbox),
  };
}

const publishSuggestion = ({ desk, project, rootOf }: Toolbox): ToolDefinition =>
  tool({
    description:
      "Publish the current jj change as a suggestion that the developer reviews hunk by hunk. Call it when the change is complete and its tests pass. Publishing the same change again makes a new revision; decisions on unchanged hunks are kept.",
    args: {
      description: text().describe(
        "Human-readable description of the changes; it becomes the commit message",
      ),
      change_id: text().optional().describe("jj change id; the working copy's change if left out"),
    },
    execute: (args, context) =>
      answer(PublishRequest, args, async (request) => {
        const session = await rootOf(context.sessionID);
        const result = await desk.publish({ ...request, project }, "agent", session);
        return [
          `Published suggestion ${result.suggestion_id}, revision ${result.revision}: ${result.hunk_count} hunks in ${result.files.length} files, ${result.pending_count} to be reviewed.`,
          ...result.files.slice(0, 50).map((file) => `- ${file}`),
          ...(result.files.length > 50 ? [`- … and ${result.files.length - 50} more`] : []),
          ...result.warnings.map((warning) => `Warning: ${warning}`),
          "The developer's decisions will appear in this conversation. Your working copy is now a new change on top; to revise, edit the published change (jj edit) and publish it again.",
        ].join("\n");
      }),
  });

const suggestionFeedback = ({ desk }: Toolbox): ToolDefinition =>
  tool({
    description:
      "Submit feedback for a suggestion hunk. Only where the developer's settings let the agent decide.",
    args: {
      suggestion_id: text(),
      hunk_id: text(),
      action: tool.schema.enum(["accept", "reject", "modify"]),
      modified_diff: text().optional().describe("The edited unified diff, when action is modify"),
      comment: text().optional(),
    },
    execute: (args) =>
      answer(FeedbackRequest, args, (request) => {
        const result = desk.decide(request, "agent");
        return `Recorded. ${result.reviewed_count} of ${result.hunk_count} hunks reviewed, ${result.remaining_hunks} remaining.`;
      }),
  });

const suggestionStatus = ({ desk, project }: Toolbox): ToolDefinition =>
  tool({
    description: "Send a one-line status message to the developer, such as what is being tried or tested.",
    args: {
      message: text().describe("One-line status message"),
      suggestion_id: text().optional(),
      status: tool.schema.enum(["working", "testing"]).optional(),
    },
    execute: (args) =>
      answer(StatusRequest, args, async (request) => {
        await desk.status({ ...request, project }, "agent");
        return "Sent.";
      }),
  });

const listSuggestions = ({ desk, project }: Toolbox): ToolDefinition =>
  tool({
    description: "List all suggestions under review, with how far the review is.",
    args: {},
    execute: () =>
      answer(ListQuery, { project }, (query) => {
        const { suggestions } = desk.list(query);
        if (suggestions.length === 0)
          return "No suggestion is under review. Publish one with publish_suggestion.";
        return suggestions.map(summaryText).join("\n");
      }),
  });

const getSuggestion = ({ desk }: Toolbox): ToolDefinition =>
  tool({
    description:
      "Show one suggestion: each hunk with its state, the developer's comments, and its diff where it was not accepted.",
    args: { suggestion_id: text() },
    execute: (args) =>
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

const completeSuggestion = ({ desk }: Toolbox): ToolDefinition =>
  tool({
    description:
      "Finalize (push what was accepted) or discard a suggestion, or undo: take back the discard, or else the last decision. Only where the developer's settings let the agent decide.",
    args: { suggestion_id: text(), action: tool.schema.enum(["finalize", "discard", "undo"]) },
    execute: (args) =>
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

function summaryText(suggestion: SuggestionSummary): string {
  return [
    `${suggestion.id} (${suggestion.state}, ${suggestion.status}): ${JSON.stringify(suggestion.description.split("\n", 1)[0])}`,
    `  change ${suggestion.jj_change_id.slice(0, 12)}, revision ${suggestion.revision}, ${suggestion.reviewed_count} of ${suggestion.hunk_count} hunks reviewed (${suggestion.accepted_count} accepted, ${suggestion.rejected_count} rejected)`,
    ...(suggestion.base_moved ? ["  the shared branch has moved past its base"] : []),
  ].join("\n");
}

const DIFF_LINES = 60;

function hunkText(hunk: Hunk): string {
  const lines = [`- ${hunk.id} [${hunk.kind}] ${hunk.state}`];
  if (hunk.decision?.comment !== undefined)
    lines.push(`  developer's comment: ${JSON.stringify(hunk.decision.comment)}`);
  for (const comment of hunk.comments ?? []) lines.push(`  ${comment.by}: ${JSON.stringify(comment.text)}`);
  const diff = hunk.decision?.modified_diff ?? (hunk.state === "accepted" ? "" : hunk.diff);
  const shown = diff.split("\n").slice(0, DIFF_LINES);
  if (diff !== "") lines.push(...shown.map((line) => `    | ${line.slice(0, 400)}`));
  return lines.join("\n");
}
