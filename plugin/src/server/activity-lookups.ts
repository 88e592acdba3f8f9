/** What is read of the agent: its activity, its sessions, what may be chosen; shared by HTTP and WebSocket. Only the developer's token is answered. */
import { createHash } from "node:crypto";
import {
  ActivityAnswer,
  ActivityQuery,
  AsksQuery,
  PermissionsAnswer,
  QuestionsAnswer,
} from "../protocol/activity.ts";
import { ReviewError } from "../protocol/errors.ts";
import {
  ChoicesAnswer,
  ChoicesQuery,
  ExportQuery,
  SessionsAnswer,
  SessionsQuery,
  type TranscriptPage,
} from "../protocol/sessions.ts";
import { PAGE_BYTES } from "../protocol/sizes.ts";
import { SlashCommandsAnswer, SlashCommandsQuery } from "../protocol/slash-commands.ts";
import type { ReviewDesk } from "../review/contract.ts";

/**
 * A reader that is to go on behind the last number would wait for what comes much later, if ever: its `since` is of
 * another ledger.
 *
 * @param where how the door names the field
 */
export function checkActivitySince(desk: ReviewDesk, since: number, where: string): void {
  const last = desk.lastActivity();
  if (since <= last) return;
  throw new ReviewError(
    "invalid_request",
    `${where}: the activity ends at ${last}; another ledger may be in use, start over from 0`,
    { details: { field: "since", last } },
  );
}

/** A page as JSON text, made of the texts as they are kept. */
export function activityPage(desk: ReviewDesk, { since, limit, ...filter }: ActivityQuery): string {
  const last = desk.lastActivity();
  const forms = desk.activityTexts(since, limit + 1, filter);
  const kept: string[] = [];
  let size = 0;
  let end = since;
  for (const { number, json } of forms.slice(0, limit)) {
    size += Buffer.byteLength(json);
    if (size > PAGE_BYTES && kept.length > 0) break;
    kept.push(json);
    end = number;
  }
  const next = kept.length < forms.length ? end : null;
  return `{"entries":[${kept.join(",")}],"last":${last},"next":${next}}`;
}

/** Of a transcript in one answer: as JSON in UTF-8 a character takes three bytes at most. */
const PART_CHARACTERS = Math.floor(PAGE_BYTES / 3);

export function transcriptPage(markdown: string, offset: number): TranscriptPage {
  const digest = createHash("sha256").update(markdown).digest("hex");
  const part = markdown.slice(offset, offset + PART_CHARACTERS);
  // A character of two halves stays whole.
  const whole = /[\ud800-\udbff]$/.test(part) && part.length > 1 ? part.slice(0, -1) : part;
  const end = offset + whole.length;
  return { markdown: whole, digest, next: end < markdown.length ? end : null };
}

export const ACTIVITY_LOOKUPS = {
  activity: {
    summary:
      "What the agent does, by page: entries whose number is higher than ?since=, each in its present form. Taken in by `id` and shown by `position` they are what who watched live has",
    query: ActivityQuery,
    answer: ActivityAnswer,
    access: "developer",
    tag: "agent",
  },
  permissions: {
    summary: "Permissions that the agent waits for",
    query: AsksQuery,
    answer: PermissionsAnswer,
    access: "developer",
    tag: "agent",
  },
  questions: {
    summary: "Questions that the agent waits to be answered",
    query: AsksQuery,
    answer: QuestionsAnswer,
    access: "developer",
    tag: "agent",
  },
  sessions: {
    summary: "The agent's sessions in opencode",
    query: SessionsQuery,
    answer: SessionsAnswer,
    access: "developer",
    tag: "agent",
  },
  choices: {
    summary: "What may be chosen with a prompt: models with their variants, and agents",
    query: ChoicesQuery,
    answer: ChoicesAnswer,
    access: "developer",
    tag: "agent",
  },
  export: {
    summary:
      "One of the agent's sessions as Markdown; nothing in it is hidden, and nobody's words are another's",
    query: ExportQuery,
    answer: "text/markdown; charset=utf-8",
    access: "developer",
    tag: "agent",
  },
  commands: {
    summary: "opencode's slash commands, which POST /ask takes as command",
    query: SlashCommandsQuery,
    answer: SlashCommandsAnswer,
    access: "developer",
    tag: "agent",
  },
} as const;
