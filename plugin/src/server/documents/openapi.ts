/** The OpenAPI 3.1 document, generated from the routing table and the schemas that validate. */
import { z } from "zod";
import { ActivityMessage } from "../../protocol/activity.ts";
import { ERROR_STATUS, ErrorAnswer, type ErrorCode } from "../../protocol/errors.ts";
import { STAMPED_EVENTS } from "../../protocol/events.ts";
import { type Route, TAGS } from "../route.ts";
import { CLOSE_CODES } from "../socket/close-codes.ts";
import { type JsonObject, SchemaWriter } from "./json-schema.ts";

const ABOUT = `Review of an agent's suggested changes, hunk by hunk.

Every request but \`GET /health\` needs \`Authorization: Bearer <token>\`. The developer's token decides; the agent's may publish, report and read. What the agent does and asks (\`/agent/…\`) is for the developer's token alone. Requests with a foreign \`Host\` or \`Origin\` are refused. POST bodies are JSON. A request with \`request_id\` (or an \`Idempotency-Key\`) may be repeated: it has its effect once.

\`GET /ws\` upgrades to a WebSocket: see \`/asyncapi.json\`. \`/git/<repository>.git\` is git's smart HTTP protocol: see the project's documentation.

WebSocket close codes:
${CLOSE_CODES.map(({ code, meaning }) => `- ${code}: ${meaning}`).join("\n")}`;

/** What any route with a token can answer besides its own errors. */
function commonErrors(route: Route): ErrorCode[] {
  if (route.access === "open") return ["invalid_request", "forbidden"];
  const common: ErrorCode[] = ["invalid_request", "unauthorized", "forbidden", "rate_limited"];
  return route.body === null
    ? common
    : [...common, "payload_too_large", "unsupported_media_type", "request_timeout"];
}

const reference = (kind: string, name: string): JsonObject => ({ $ref: `#/components/${kind}/${name}` });

/** Headers of an answer with this status. */
function headers(status: number, route: Route): JsonObject {
  const found: JsonObject = { "X-Request-Id": reference("headers", "RequestId") };
  if (status === 429 || status === 503) found["Retry-After"] = reference("headers", "RetryAfter");
  if (status === 401) found["WWW-Authenticate"] = reference("headers", "Challenge");
  if (route.tagged && (status === 200 || status === 304)) found.ETag = reference("headers", "ETag");
  return found;
}

function answers(route: Route, writer: SchemaWriter): JsonObject {
  const content: JsonObject =
    typeof route.answer === "string"
      ? { [route.answer]: { schema: { type: "string" } } }
      : { "application/json": { schema: writer.write(route.answer, "output") } };
  const responses: JsonObject = {
    [String(route.status)]: { description: "Done", headers: headers(route.status, route), content },
  };
  if (route.tagged)
    responses["304"] = { description: "As it was when you got this ETag", headers: headers(304, route) };
  const codes = [...new Set<ErrorCode>([...commonErrors(route), ...route.errors, ...ANYWHERE])];
  for (const code of codes) {
    const status = ERROR_STATUS[code];
    const others = codes.filter((other) => ERROR_STATUS[other] === status);
    responses[String(status)] = {
      description: others.map((other) => `\`${other}\``).join(", "),
      headers: headers(status, route),
      content: { "application/json": { schema: writer.write(ErrorAnswer) } },
    };
  }
  return responses;
}

/** What goes wrong beside what was asked for. */
const ANYWHERE: ErrorCode[] = ["internal", "git_error", "jj_error", "unavailable", "state_damaged"];

const HEADERS: JsonObject = {
  RequestId: {
    description: "The request's X-Request-Id, or one made here; it is in the server's log",
    schema: { type: "string" },
  },
  RetryAfter: { description: "Seconds to wait before the next try", schema: { type: "integer" } },
  ETag: {
    description: "Send it back as If-None-Match to get 304 while nothing changed",
    schema: { type: "string" },
  },
  Challenge: { description: "Bearer, or Basic for git", schema: { type: "string" } },
};

/** Headers that a request may carry. */
const GIVEN_HEADERS: Record<"requestId" | "etag" | "idempotency" | "lastEvent", JsonObject> = {
  requestId: {
    name: "X-Request-Id",
    in: "header",
    required: false,
    description: "Your name for the request: up to 64 letters, digits, '.', '_' or '-'",
    schema: { type: "string", pattern: "^[A-Za-z0-9._-]{1,64}$" },
  },
  etag: { name: "If-None-Match", in: "header", required: false, schema: { type: "string" } },
  idempotency: {
    name: "Idempotency-Key",
    in: "header",
    required: false,
    description: "Another way to give `request_id`",
    schema: { type: "string", minLength: 1, maxLength: 128 },
  },
  lastEvent: {
    name: "Last-Event-ID",
    in: "header",
    required: false,
    description: "The last seq you have; outweighs `since`",
    schema: { type: "string", pattern: "^[0-9]+$" },
  },
};

function headerParameters(route: Route): JsonObject[] {
  const given = [GIVEN_HEADERS.requestId];
  if (route.tagged) given.push(GIVEN_HEADERS.etag);
  if (route.body instanceof z.ZodObject && "request_id" in route.body.shape)
    given.push(GIVEN_HEADERS.idempotency);
  if (route.answer === "text/event-stream") given.push(GIVEN_HEADERS.lastEvent);
  return given;
}

/** Those that are no plain id. */
const IN_PATH: Readonly<Record<string, JsonObject>> = {
  hunk: {
    type: "string",
    minLength: 1,
    maxLength: 8192,
    description: "Hunk id; the slashes and colons of its file percent-encoded",
  },
};

function parameters(route: Route, writer: SchemaWriter): JsonObject[] {
  const inPath = [...route.path.matchAll(/:([a-z]+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: IN_PATH[name as string] ?? { type: "string", pattern: "^[A-Za-z0-9_-]{1,64}$" },
  }));
  const query = writer.inPlace(route.query);
  const required = new Set((query.required ?? []) as string[]);
  const inQuery = Object.entries((query.properties ?? {}) as Record<string, JsonObject>).map(
    ([name, { description, ...schema }]) => ({
      name,
      in: "query",
      required: required.has(name),
      ...(description === undefined ? {} : { description }),
      schema,
    }),
  );
  return [...inPath, ...inQuery, ...headerParameters(route)];
}

export function openApiDocument(routes: Route[], version: string): JsonObject {
  const writer = new SchemaWriter("input");
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    const path = route.path.replace(/:([a-z]+)/g, "{$1}");
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = {
      operationId: route.operation,
      tags: [route.tag],
      summary: route.summary,
      ...(route.access === "open" ? { security: [] } : { "x-access": route.access }),
      parameters: parameters(route, writer),
      ...(route.body === null
        ? {}
        : {
            requestBody: {
              required: true,
              content: {
                "application/json": {
                  schema: writer.write(route.body),
                  ...(route.example === undefined ? {} : { example: route.example }),
                },
              },
            },
          }),
      responses: answers(route, writer),
    };
  }
  // A stream's events are in no JSON answer of their own.
  for (const event of STAMPED_EVENTS) writer.write(event, "output");
  writer.write(ActivityMessage, "output");
  return {
    openapi: "3.1.0",
    info: {
      title: "suggestion-manager",
      version,
      description: ABOUT,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    security: [{ token: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      headers: HEADERS,
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: writer.components,
    },
    "x-error-codes": z.record(z.string(), z.number()).parse(ERROR_STATUS),
  };
}
