/** The published documents: valid by other people's validators, complete, and true of what is really answered. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import SwaggerParser from "@apidevtools/swagger-parser";
import { Parser } from "@asyncapi/parser";
import type { z } from "zod";
import { LUA_TYPES, luaTypes } from "../../../scripts/lib/write-lua-types.ts";
import { CompleteAnswer, DecisionAnswer, PublishAnswer } from "../../src/protocol/changes.ts";
import { ErrorAnswer } from "../../src/protocol/errors.ts";
import { EventBody } from "../../src/protocol/events.ts";
import { Suggestion } from "../../src/protocol/model.ts";
import {
  ContentAnswer,
  HealthAnswer,
  HunkPageAnswer,
  ListAnswer,
  SettingsAnswer,
} from "../../src/protocol/queries.ts";
import { asyncApiDocument } from "../../src/server/documents/asyncapi.ts";
import { eventName } from "../../src/server/documents/named-schemas.ts";
import { openApiDocument } from "../../src/server/documents/openapi.ts";
import { TAGS } from "../../src/server/route.ts";
import { ROUTES } from "../../src/server/routes.ts";
import { CLOSE, CLOSE_CODES } from "../../src/server/socket/close-codes.ts";
import { VERSION } from "../../src/version.ts";
import { AgentRepository, Place } from "./place.ts";

setDefaultTimeout(30_000);

let at: Place;
beforeAll(async () => {
  at = await Place.open();
});
afterAll(() => at.stop());

describe("OpenAPI", () => {
  test("is valid, names every route and its errors", async () => {
    const { body } = await at.ask("/openapi.json");
    expect(body.openapi).toBe("3.1.0");
    for (const { method, path, operation } of ROUTES) {
      const operations = body.paths[path.replace(/:([a-z]+)/g, "{$1}")];
      expect(operations[method.toLowerCase()].operationId).toBe(operation);
      const statuses = Object.keys(operations[method.toLowerCase()].responses);
      expect(statuses).toContain(operation === "health" ? "400" : "401");
    }
    await SwaggerParser.validate(body);
  });

  test("a request body's schema is the very one that validates", async () => {
    const { body } = await at.ask("/openapi.json");
    const content = body.paths["/complete"].post.requestBody.content["application/json"];
    expect(content.schema).toEqual({ $ref: "#/components/schemas/CompleteRequest" });
    expect(body.components.schemas.CompleteRequest).toMatchObject({
      additionalProperties: false,
      required: ["suggestion_id", "action"],
      properties: { action: { enum: ["finalize", "discard"] } },
    });
    expect(body.paths["/suggestions"].get.parameters[0]).toMatchObject({
      name: "status",
      in: "query",
      schema: { default: "open" },
    });
    const names = Object.keys(body.components.schemas);
    for (const name of [
      "Error",
      "Hunk",
      "Suggestion",
      "SuggestionSummary",
      "FeedbackRequest",
      "DecisionAnswer",
    ])
      expect(names).toContain(name);
    for (const { shape } of EventBody.options) expect(names).toContain(eventName(shape.type.value));
  });

  test("E8: every operation has a tag, and every example fits its schema", () => {
    for (const { operation, tag, body, example } of ROUTES) {
      expect([operation, Object.keys(TAGS).includes(tag)]).toEqual([operation, true]);
      if (body === null) continue;
      const checked = body.safeParse(example);
      expect([operation, checked.success ? "fits" : checked.error.message]).toEqual([operation, "fits"]);
    }
  });

  test("E8: docs/ holds what the server publishes; npm run api-documents writes it anew", () => {
    const kept = (name: string) =>
      JSON.parse(readFileSync(join(import.meta.dir, "../../../docs", name), "utf8"));
    expect(kept("openapi.json")).toEqual(JSON.parse(JSON.stringify(openApiDocument(ROUTES, VERSION))));
    expect(kept("asyncapi.json")).toEqual(JSON.parse(JSON.stringify(asyncApiDocument(VERSION))));
  });

  test("the client's types are those of the schemas; npm run lua-types writes them anew", () => {
    expect(readFileSync(join(import.meta.dir, "../../..", LUA_TYPES), "utf8")).toBe(luaTypes());
  });

  test("what is really answered fits the published schemas", async () => {
    const repository = await AgentRepository.add(at);
    const { id, hunks } = await repository.publish();
    const one = { suggestion_id: id, hunk_id: hunks[1]?.id };
    repository.edit("keep.txt", (text) => `${text}more\n`);
    const fits = async (schema: z.ZodType, path: string, body?: unknown, token?: string) => {
      const init = { ...(body === undefined ? {} : { body }), ...(token === undefined ? {} : { token }) };
      const answer = await at.ask(path, init);
      const checked = schema.safeParse(answer.body);
      expect([path, checked.success ? "fits" : checked.error.message]).toEqual([path, "fits"]);
    };
    await fits(HealthAnswer, "/health");
    await fits(ListAnswer, "/suggestions?status=all");
    await fits(Suggestion, `/suggestions/${id}`);
    await fits(HunkPageAnswer, `/suggestions/${id}/hunks`);
    await fits(ContentAnswer, `/suggestions/${id}/content?file=src/a.ts&side=sandbox`);
    await fits(DecisionAnswer, "/feedback", { ...one, action: "reject", comment: "no" });
    await fits(DecisionAnswer, "/undo", one);
    await fits(PublishAnswer, "/suggestions", { description: "Second" }, at.agent);
    await fits(SettingsAnswer, "/settings");
    await fits(ErrorAnswer, "/suggestions/nothing");
    await fits(ErrorAnswer, "/feedback", {});
    await fits(CompleteAnswer, "/complete", { suggestion_id: id, action: "discard" });
    for (const text of at.journal()) {
      const checked = EventBody.safeParse(JSON.parse(text));
      expect([text, checked.success]).toEqual([text, true]);
    }
  });
});

describe("AsyncAPI", () => {
  test("is valid, names every command and event", async () => {
    const { body } = await at.ask("/asyncapi.json");
    const { document, diagnostics } = await new Parser().parse(body);
    expect(diagnostics.filter(({ severity }) => severity <= 1)).toEqual([]);
    const names =
      document
        ?.messages()
        .all()
        .map((message) => message.name()) ?? [];
    for (const name of ["feedback", "complete", "list", "get", "subscribe", "response", "suggestion.ready"]) {
      expect(names).toContain(name);
    }
  });

  test("every close code the server sends is documented", async () => {
    const documented = CLOSE_CODES.map(({ code }) => code);
    for (const code of Object.values(CLOSE)) expect(documented).toContain(code);
    const { description } = (await at.ask("/asyncapi.json")).body.info;
    for (const code of documented) expect(description).toContain(`- ${code} `);
  });
});
