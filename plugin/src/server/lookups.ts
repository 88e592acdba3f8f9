/** The use cases that only read, with their query schemas; shared by HTTP and WebSocket like `use-cases.ts`. */
import { z } from "zod";
import { ReviewError } from "../protocol/errors.ts";
import { Suggestion, SuggestionId, type SuggestionSummary } from "../protocol/model.ts";
import {
  ContentAnswer,
  ContentQuery,
  DecisionsAnswer,
  DecisionsQuery,
  HunkPageAnswer,
  HunksQuery,
  ListAnswer,
  ListQuery,
  WhyAnswer,
} from "../protocol/queries.ts";
import { PAGE_BYTES } from "../protocol/sizes.ts";
import type { ReviewDesk } from "../review/contract.ts";
import { listCursor } from "../review/reading.ts";

/** Ids are looked up in the ledger and never used as a path; refusing odd ones early keeps them out of logs too. */
export const IdParameter = SuggestionId.regex(/^[A-Za-z0-9_-]+$/, "expected a suggestion id");

export function checkId(id: string): string {
  if (IdParameter.safeParse(id).success) return id;
  throw new ReviewError("not_found", "No suggestion has this id");
}

/** Names that no tree of git's can hold never reach git. */
export function checkFile(file: string): string {
  const odd = file
    .split("/")
    .some((part) => part === "" || part === "." || part === ".." || part.includes("\u0000"));
  if (!odd) return file;
  throw new ReviewError(
    "invalid_request",
    "file: expected a path relative to the repository root, '/' between parts",
    { details: { field: "file" } },
  );
}

/**
 * A reader that is to go on behind the journal's end would wait for events that come much later, if ever, and miss
 * those in between: its `since` is of another ledger.
 *
 * @param where how the door names the field
 */
export function checkSince(desk: ReviewDesk, since: number, where: string): void {
  const last = desk.lastSeq();
  if (since <= last) return;
  throw new ReviewError(
    "invalid_request",
    `${where}: the journal ends at ${last}; another ledger may be in use, start over from 0`,
    { details: { field: "since", last_seq: last } },
  );
}

/** A page of summaries that fits in one message, however many files the suggestions name. */
export function listPage(desk: ReviewDesk, query: ListQuery): z.output<typeof ListAnswer> {
  const { suggestions, total } = desk.list(query);
  const kept: SuggestionSummary[] = [];
  let size = 0;
  for (const summary of suggestions) {
    size += roughBytes(summary);
    if (size > PAGE_BYTES && kept.length > 0) break;
    kept.push(summary);
  }
  const last = kept[kept.length - 1];
  // A page that is shorter than was asked for, with none left out, is the last.
  const more = kept.length < suggestions.length || suggestions.length === query.limit;
  const end = query.offset + kept.length;
  return {
    suggestions: kept,
    total,
    next: query.cursor === undefined && more && end < total && kept.length > 0 ? end : null,
    next_cursor: last !== undefined && more ? listCursor(last) : null,
  };
}

/** An upper estimate, cheaper than serialising twice: what varies is the list of files and the description. */
function roughBytes(summary: SuggestionSummary): number {
  let size = 1500 + summary.description.length * 3;
  for (const file of summary.files) size += file.length * 3 + 4;
  return size;
}

export const LOOKUPS = {
  list: {
    summary: "Suggestions, newest last; the open ones if no status is given",
    query: ListQuery,
    answer: ListAnswer,
  },
  get: {
    summary: "One suggestion with its hunks (or hunks_omitted when they are too many)",
    query: z.strictObject({}),
    answer: Suggestion,
  },
  hunks: { summary: "Hunks of a suggestion by page", query: HunksQuery, answer: HunkPageAnswer },
  why: {
    summary: "Which calls of the agent's made a hunk, line by line; what no call explains is said to be so",
    query: z.strictObject({}),
    answer: WhyAnswer,
  },
  decisions: {
    summary: "What was decided with a reason, or written anew, of all suggestions: the memory of the review",
    query: DecisionsQuery,
    answer: DecisionsAnswer,
  },
  content: {
    summary: "Bytes of one file on one side of the review, in base64 by page",
    query: ContentQuery,
    answer: ContentAnswer,
  },
};
