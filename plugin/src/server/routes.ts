/**
 * The one routing table: it drives dispatch and is what `/openapi.json` is generated from. A route names its
 * schemas, who may call it and what it answers; the rules are behind the desk.
 */
import { z } from "zod";
import { EventPageAnswer, HealthAnswer, HealthQuery, SettingsAnswer } from "../protocol/answers.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import { EventsQuery, PatchQuery } from "../protocol/requests.ts";
import type { Context } from "./context.ts";
import { asyncApiDocument } from "./documents/asyncapi.ts";
import { openApiDocument } from "./documents/openapi.ts";
import { bytes, json, jsonText } from "./http/answers.ts";
import { checkFile, checkId, checkSince, LOOKUPS } from "./lookups.ts";
import { healthReport, metricsText, settingsReport } from "./reports.ts";
import type { Identity } from "./tokens/tokens.ts";
import { type Access, USE_CASES, type UseCaseName } from "./use-cases.ts";

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
}

export interface Route {
  method: "GET" | "POST";
  /** `:name` stands for one path segment. */
  path: string;
  operation: string;
  summary: string;
  access: Access | "open";
  query: z.ZodType;
  body: z.ZodType | null;
  status: 200 | 201;
  /** Schema of the JSON answer, or the media type of another one. */
  answer: z.ZodType | string;
  /** Further media type the route can answer with. */
  also?: string;
  errors: ErrorCode[];
  run(call: Call): unknown;
}

const NoQuery = z.strictObject({});

function get<Query extends z.ZodType>(
  path: string,
  operation: string,
  definition: {
    summary: string;
    query?: Query;
    answer: z.ZodType | string;
    access?: Route["access"];
    also?: string;
    errors?: ErrorCode[];
    run(call: Call<z.output<Query>>): unknown;
  },
): Route {
  const { also } = definition;
  return {
    method: "GET",
    path,
    operation,
    summary: definition.summary,
    access: definition.access ?? "read",
    query: definition.query ?? NoQuery,
    body: null,
    status: 200,
    answer: definition.answer,
    ...(also === undefined ? {} : { also }),
    errors: definition.errors ?? [],
    // Dispatch has parsed the query with this very schema.
    run: (call) => definition.run(call as Call<z.output<Query>>),
  };
}

function post(path: string, name: UseCaseName, status: 200 | 201 = 200): Route {
  const useCase = USE_CASES[name];
  return {
    method: "POST",
    path,
    operation: name,
    summary: useCase.summary,
    access: useCase.access,
    query: NoQuery,
    body: useCase.request,
    status,
    answer: useCase.answer,
    errors: useCase.errors,
    run: ({ context, identity, body }) => useCase.run(context.desk, body, identity?.role ?? "agent"),
  };
}

const id = (call: Call): string => checkId(call.parameters.id ?? "");

export const ROUTES: Route[] = [
  get("/health", "health", {
    summary:
      "Whether the service is there; with ?nonce= also proof that the server at this very address knows the developer's token",
    access: "open",
    query: HealthQuery,
    answer: HealthAnswer,
    run: ({ context, identity, query }) => healthReport(context, identity, query.nonce),
  }),
  get("/suggestions", "listSuggestions", {
    ...LOOKUPS.list,
    run: ({ context, query }) => jsonText(context.lists.page(query)),
  }),
  get("/suggestions/:id.patch", "downloadPatch", {
    summary: "Unified diff of the accepted, the pending or every hunk, as git apply takes it",
    query: PatchQuery,
    answer: "text/x-patch",
    errors: ["not_found"],
    run: async (call) => {
      const patch = await call.context.desk.patch(id(call), call.query);
      return bytes(new Uint8Array(patch), "text/x-patch", {
        "Content-Disposition": `attachment; filename="${id(call)}.patch"`,
      });
    },
  }),
  get("/suggestions/:id", "getSuggestion", {
    ...LOOKUPS.get,
    errors: ["not_found"],
    run: (call) => call.context.desk.get(id(call)),
  }),
  get("/suggestions/:id/hunks", "listHunks", {
    ...LOOKUPS.hunks,
    errors: ["not_found"],
    run: (call) => call.context.desk.hunks(id(call), call.query),
  }),
  get("/suggestions/:id/content", "readContent", {
    ...LOOKUPS.content,
    errors: ["not_found"],
    run: (call) => {
      checkFile(call.query.file);
      return call.context.desk.content(id(call), call.query);
    },
  }),
  post("/suggestions", "publish", 201),
  post("/feedback", "feedback"),
  post("/feedback/batch", "batch"),
  post("/undo", "undo"),
  post("/redo", "redo"),
  post("/comments", "comment"),
  post("/complete", "complete"),
  post("/revise", "revise"),
  post("/rebase", "rebase"),
  post("/verify", "verify"),
  post("/settle", "settle"),
  post("/status", "status"),
  post("/ask", "ask"),
  post("/abort", "abort"),
  get("/events", "listEvents", {
    summary:
      "Events after ?since=, by page; as a live stream when Accept is text/event-stream: id: is the seq, Last-Event-ID is honoured, and a stream that has carried 4 MiB ends for the client to reconnect",
    query: EventsQuery,
    answer: EventPageAnswer,
    also: "text/event-stream",
    run: ({ context, query, request, stream }) => {
      if (!/\btext\/event-stream\b/i.test(request.headers.get("accept") ?? ""))
        return context.desk.events(query);
      const last = Number(request.headers.get("last-event-id") ?? Number.NaN);
      const resumed = Number.isSafeInteger(last) && last >= 0;
      const since = resumed ? last : query.since;
      checkSince(context.desk, since, resumed ? "Last-Event-ID header" : "Query: since");
      return stream(since, query.project);
    },
  }),
  get("/settings", "settings", {
    summary: "Settings in force, without anything secret",
    answer: SettingsAnswer,
    run: ({ context, identity }) => settingsReport(context, identity?.role ?? "agent"),
  }),
  get("/openapi.json", "openapi", {
    summary: "This document",
    answer: z.record(z.string(), z.unknown()),
    run: ({ context }) => json(openApiDocument(ROUTES, context.version)),
  }),
  get("/asyncapi.json", "asyncapi", {
    summary: "The WebSocket's messages as an AsyncAPI document",
    answer: z.record(z.string(), z.unknown()),
    run: ({ context }) => json(asyncApiDocument(context.version)),
  }),
  get("/metrics", "metrics", {
    summary: "Counters in Prometheus' text format",
    answer: "text/plain; version=0.0.4; charset=utf-8",
    run: ({ context }) => bytes(metricsText(context), "text/plain; version=0.0.4; charset=utf-8"),
  }),
];
