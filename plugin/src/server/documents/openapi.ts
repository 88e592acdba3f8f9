/** The OpenAPI 3.1 document, generated from the routing table and the schemas that validate. */
import { z } from "zod";
import { ErrorAnswer } from "../../protocol/answers.ts";
import { ERROR_STATUS, type ErrorCode } from "../../protocol/errors.ts";
import type { Route } from "../routes.ts";
import { CLOSE_CODES } from "../socket/close-codes.ts";
import { type JsonObject, SchemaWriter } from "./json-schema.ts";

const ABOUT = `Review of an agent's suggested changes, hunk by hunk.

Every request but \`GET /health\` needs \`Authorization: Bearer <token>\`. The developer's token decides; the agent's may publish, report and read. Requests with a foreign \`Host\` or \`Origin\` are refused. POST bodies are JSON. A request with \`request_id\` may be repeated: it has its effect once.

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

function answers(route: Route, writer: SchemaWriter): JsonObject {
  const content: JsonObject =
    typeof route.answer === "string"
      ? { [route.answer]: { schema: { type: "string" } } }
      : { "application/json": { schema: writer.write(route.answer, "output") } };
  if (route.also !== undefined) content[route.also] = { schema: { type: "string" } };
  const responses: JsonObject = { [String(route.status)]: { description: "Done", content } };
  const codes = [...new Set<ErrorCode>([...commonErrors(route), ...route.errors, "internal"])];
  for (const code of codes) {
    const status = String(ERROR_STATUS[code]);
    const others = codes.filter((other) => ERROR_STATUS[other] === ERROR_STATUS[code]);
    responses[status] = {
      description: others.map((other) => `\`${other}\``).join(", "),
      content: { "application/json": { schema: writer.write(ErrorAnswer) } },
    };
  }
  return responses;
}

function parameters(route: Route, writer: SchemaWriter): JsonObject[] {
  const inPath = [...route.path.matchAll(/:([a-z]+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string", pattern: "^[A-Za-z0-9_-]{1,64}$" },
  }));
  const query = writer.write(route.query);
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
  return [...inPath, ...inQuery];
}

export function openApiDocument(routes: Route[], version: string): JsonObject {
  const writer = new SchemaWriter("input");
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    const path = route.path.replace(/:([a-z]+)/g, "{$1}");
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = {
      operationId: route.operation,
      summary: route.summary,
      ...(route.access === "open" ? { security: [] } : { "x-access": route.access }),
      parameters: parameters(route, writer),
      ...(route.body === null
        ? {}
        : {
            requestBody: {
              required: true,
              content: { "application/json": { schema: writer.write(route.body) } },
            },
          }),
      responses: answers(route, writer),
    };
  }
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
    paths,
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      schemas: writer.components,
    },
    "x-error-codes": z.record(z.string(), z.number()).parse(ERROR_STATUS),
  };
}
