/**
 * The one routing table: it drives dispatch and is what `/openapi.json` is generated from. A route names its
 * schemas, who may call it and what it answers; the rules are behind the desk.
 */
import { z } from "zod";
import { ActivityStreamQuery } from "../protocol/activity.ts";
import type { UseCaseName } from "../protocol/changes.ts";
import type { ErrorCode } from "../protocol/errors.ts";
import {
  EventPageAnswer,
  EventsQuery,
  HealthAnswer,
  HealthQuery,
  PatchQuery,
  SandboxAnswer,
  SandboxQuery,
  SettingsAnswer,
  StreamQuery,
} from "../protocol/queries.ts";
import { ACTIVITY_LOOKUPS, activityPage, checkActivitySince } from "./activity-lookups.ts";
import { asyncApiDocument } from "./documents/asyncapi.ts";
import { openApiDocument } from "./documents/openapi.ts";
import { JSON_TYPE, Payload } from "./http/answers.ts";
import { checkFile, checkId, checkSince, LOOKUPS } from "./lookups.ts";
import { healthReport, metricsText, settingsReport } from "./reports.ts";
import type { Call, Route } from "./route.ts";
import { USE_CASES, type UseCase, WRITING } from "./use-cases.ts";

const NoQuery = z.strictObject({});

function get<Query extends z.ZodType>(
  path: string,
  operation: string,
  definition: {
    summary: string;
    query?: Query;
    answer: z.ZodType | string;
    tag: Route["tag"];
    access?: Route["access"];
    tagged?: boolean;
    errors?: ErrorCode[];
    run(call: Call<z.output<Query>>): unknown;
  },
): Route {
  return {
    method: "GET",
    path,
    operation,
    tag: definition.tag,
    summary: definition.summary,
    access: definition.access ?? "read",
    query: definition.query ?? NoQuery,
    body: null,
    status: 200,
    answer: definition.answer,
    tagged: definition.tagged ?? false,
    errors: definition.errors ?? [],
    // Dispatch has parsed the query with this very schema.
    run: (call) => definition.run(call as Call<z.output<Query>>),
  };
}

function post(name: UseCaseName): Route {
  const useCase: UseCase = USE_CASES[name];
  return {
    method: "POST",
    path: useCase.path,
    operation: name,
    tag: useCase.tag,
    example: bodyOf(useCase, useCase.example),
    summary: useCase.summary,
    access: useCase.access,
    query: NoQuery,
    body: useCase.body ?? useCase.request,
    status: useCase.status,
    answer: useCase.answer,
    errors: useCase.errors,
    run: ({ context, identity, body, parameters }) => {
      const { idField } = useCase;
      const request = idField === undefined ? body : { [idField]: parameters.id, ...(body as object) };
      return useCase.run(context.desk, request, identity?.role ?? "agent");
    },
  };
}

/** A request without the field that stands in the path. */
function bodyOf({ idField }: UseCase, request: object): object {
  return Object.fromEntries(Object.entries(request).filter(([field]) => field !== idField));
}

/** Where a stream goes on: what `Last-Event-ID` says outweighs `since`. */
function resumedAt(request: Request, since: number): { since: number; where: string } {
  const last = Number(request.headers.get("last-event-id") ?? Number.NaN);
  const resumed = Number.isSafeInteger(last) && last >= 0;
  return { since: resumed ? last : since, where: resumed ? "Last-Event-ID header" : "Query: since" };
}

function streamActivity({ context, query, request, watch }: Call<ActivityStreamQuery>): Response {
  const { since, where } = resumedAt(request, query.since);
  checkActivitySince(context.desk, since, where);
  return watch(since, { project: query.project, session: query.session });
}

function streamEvents({ context, query, request, stream }: Call<z.output<typeof StreamQuery>>): Response {
  const { since, where } = resumedAt(request, query.since);
  checkSince(context.desk, since, where);
  return stream(since, query.project);
}

const id = (call: Call): string => checkId(call.parameters.id ?? "");

export const ROUTES: Route[] = [
  get("/health", "health", {
    tag: "server",
    summary:
      "Whether the service is there; with ?nonce= also proof that the server at this very address knows the developer's token",
    access: "open",
    query: HealthQuery,
    answer: HealthAnswer,
    run: ({ context, identity, query }) => healthReport(context, identity, query.nonce),
  }),
  get("/suggestions", "listSuggestions", {
    tag: "suggestions",
    tagged: true,
    ...LOOKUPS.list,
    run: ({ context, query }) => new Payload(context.lists.page(query), JSON_TYPE),
  }),
  get("/suggestions/:id.patch", "downloadPatch", {
    tag: "suggestions",
    summary: "Unified diff of the accepted, the pending or every hunk, as git apply takes it",
    query: PatchQuery,
    answer: "text/x-patch",
    errors: ["not_found", "storage_full", "state_damaged"],
    run: async (call) => {
      const patch = await call.context.desk.patch(id(call), call.query);
      return new Payload(new Uint8Array(patch), "text/x-patch", {
        "Content-Disposition": `attachment; filename="${id(call)}.patch"`,
      });
    },
  }),
  get("/suggestions/:id", "getSuggestion", {
    tag: "suggestions",
    tagged: true,
    ...LOOKUPS.get,
    errors: ["not_found"],
    run: (call) => call.context.desk.get(id(call)),
  }),
  get("/suggestions/:id/hunks", "listHunks", {
    tag: "suggestions",
    ...LOOKUPS.hunks,
    errors: ["not_found"],
    run: (call) => call.context.desk.hunks(id(call), call.query),
  }),
  get("/suggestions/:id/hunks/:hunk/why", "whyHunk", {
    tag: "suggestions",
    ...LOOKUPS.why,
    errors: ["not_found", "stale_hunk"],
    run: (call) =>
      call.context.desk.why(id(call), call.parameters.hunk ?? "", call.identity?.role ?? "agent"),
  }),
  get("/suggestions/:id/content", "readContent", {
    tag: "suggestions",
    ...LOOKUPS.content,
    errors: ["not_found", "storage_full", "state_damaged"],
    run: (call) => {
      checkFile(call.query.file);
      return call.context.desk.content(id(call), call.query);
    },
  }),
  ...(Object.keys(USE_CASES) as UseCaseName[]).map(post),
  get("/decisions", "listDecisions", {
    tag: "review",
    ...LOOKUPS.decisions,
    errors: ["not_found"],
    run: ({ context, query }) => context.desk.decisions(query),
  }),
  get("/events", "listEvents", {
    tag: "journal",
    summary: "Events after ?since=, by page. With Accept: text/event-stream the same as /events/stream",
    query: EventsQuery,
    answer: EventPageAnswer,
    run: (call) =>
      /\btext\/event-stream\b/i.test(call.request.headers.get("accept") ?? "")
        ? streamEvents(call)
        : call.context.desk.events(call.query),
  }),
  get("/events/stream", "streamEvents", {
    tag: "journal",
    summary:
      "Events after ?since= and then live, as Server-Sent Events: data: is an event, id: its seq. Last-Event-ID is honoured, and a stream that has carried 4 MiB ends for the client to reconnect",
    query: StreamQuery,
    answer: "text/event-stream",
    errors: ["unavailable"],
    run: streamEvents,
  }),
  get("/sandbox", "sandbox", {
    tag: "agent",
    summary: "What the rings around the agent refused, the latest first",
    query: SandboxQuery,
    answer: SandboxAnswer,
    errors: ["not_found"],
    run: (call) => call.context.desk.sandbox(call.query),
  }),
  get("/agent/activity", "listActivity", {
    ...ACTIVITY_LOOKUPS.activity,
    run: ({ context, query }) => new Payload(activityPage(context.desk, query), JSON_TYPE),
  }),
  get("/agent/activity/stream", "streamActivity", {
    tag: "agent",
    access: "developer",
    summary:
      "The same after ?since= and then live, as Server-Sent Events: data: is a message as a WebSocket that watches gets it, id: the entry's number",
    query: ActivityStreamQuery,
    answer: "text/event-stream",
    errors: ["unavailable"],
    run: streamActivity,
  }),
  get("/agent/permissions", "listPermissions", {
    ...ACTIVITY_LOOKUPS.permissions,
    errors: WRITING,
    run: async ({ context, query }) => ({
      permissions: await context.desk.waiting("agent.permission", query.project),
    }),
  }),
  get("/agent/questions", "listQuestions", {
    ...ACTIVITY_LOOKUPS.questions,
    errors: WRITING,
    run: async ({ context, query }) => ({
      questions: await context.desk.waiting("agent.question", query.project),
    }),
  }),
  get("/agent/sessions", "listSessions", {
    ...ACTIVITY_LOOKUPS.sessions,
    errors: ["not_found", "nothing_to_do"],
    run: ({ context, query }) => context.desk.sessions(query),
  }),
  get("/agent/choices", "listChoices", {
    ...ACTIVITY_LOOKUPS.choices,
    errors: ["not_found", "nothing_to_do"],
    run: ({ context, query }) => context.desk.choices(query),
  }),
  get("/agent/sessions/:id/export", "exportSession", {
    ...ACTIVITY_LOOKUPS.export,
    errors: ["not_found"],
    run: async ({ context, parameters, query }) => {
      const markdown = await context.desk.transcript({
        session: parameters.id ?? "",
        project: query.project,
      });
      return new Payload(markdown, ACTIVITY_LOOKUPS.export.answer, {
        "Content-Disposition": 'attachment; filename="session.md"',
      });
    },
  }),
  get("/agent/commands", "listCommands", {
    ...ACTIVITY_LOOKUPS.commands,
    errors: ["not_found", "nothing_to_do"],
    run: ({ context, query }) => context.desk.slashCommands(query),
  }),
  get("/settings", "settings", {
    tag: "server",
    summary: "Settings in force, without anything secret",
    answer: SettingsAnswer,
    run: ({ context, identity }) => settingsReport(context, identity?.role ?? "agent"),
  }),
  get("/openapi.json", "openapi", {
    tag: "server",
    tagged: true,
    summary: "This document",
    answer: z.record(z.string(), z.unknown()),
    run: ({ context }) => openApiDocument(ROUTES, context.version),
  }),
  get("/asyncapi.json", "asyncapi", {
    tag: "server",
    tagged: true,
    summary: "The WebSocket's messages as an AsyncAPI document",
    answer: z.record(z.string(), z.unknown()),
    run: ({ context }) => asyncApiDocument(context.version),
  }),
  get("/metrics", "metrics", {
    tag: "server",
    summary: "Counters in Prometheus' text format",
    answer: "text/plain; version=0.0.4; charset=utf-8",
    run: ({ context }) => new Payload(metricsText(context), "text/plain; version=0.0.4; charset=utf-8"),
  }),
];
