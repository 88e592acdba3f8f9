/** What a route is: its schemas, who may call it and what it answers. The table of all is in `routes.ts`. */
import type { z } from "zod";
import type { ErrorCode } from "../protocol/errors.ts";
import type { ActivityFilter } from "../review/ledger/activity-rows.ts";
import type { Access } from "./access.ts";
import type { Context } from "./context.ts";
import type { Identity } from "./tokens/tokens.ts";

export interface Call<Query = unknown, Body = unknown> {
  context: Context;
  /** Null only on the open route. */
  identity: Identity | null;
  parameters: Record<string, string>;
  query: Query;
  body: Body;
  request: Request;
  /** Turns the request into an event stream. */
  stream(since: number, project: string | undefined): Response;
  /** The same for the agent's activity. */
  watch(since: number, filter: ActivityFilter): Response;
}

/** Chapters of the published document, in its order. */
export const TAGS = {
  suggestions: "What is up for review",
  review: "Deciding hunk by hunk",
  finish: "Checking, finalizing, discarding, following the shared branch",
  agent: "Asking, telling and stopping the agent; its own calls",
  journal: "Events, numbered without gaps",
  server: "The server itself",
} as const;
export type Tag = keyof typeof TAGS;

export interface Route {
  method: "GET" | "POST";
  /** `:name` stands for one path segment. */
  path: string;
  operation: string;
  /** Chapter of the published document. */
  tag: Tag;
  summary: string;
  access: Access | "open";
  query: z.ZodType;
  body: z.ZodType | null;
  status: 200 | 201;
  /** Schema of the JSON answer, or the media type of another one. */
  answer: z.ZodType | string;
  /** A request body as it may be sent, for the published document. */
  example?: object;
  /** Whether the answer carries an ETag, and is left out for who has it already. */
  tagged?: boolean;
  errors: ErrorCode[];
  run(call: Call): unknown;
}
