/**
 * Random requests over every route, valid and not: whatever is answered has a status that the published document
 * declares, and fits the schema that it declares for it.
 *
 *     SUGGESTION_LONG=1 bun test plugin/tests/server/random-requests.test.ts     5,000 requests
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { Hunk } from "../../src/protocol/model.ts";
import { AgentRepository, type Answered, Place } from "./place.ts";

const REQUESTS = Number(
  process.env.SUGGESTION_REQUESTS ?? (process.env.SUGGESTION_LONG === "1" ? 5000 : 400),
);
/** Requests to one server. */
const ROUND = 400;
setDefaultTimeout(60_000 + REQUESTS * 600);

/** Repeatable, so that a failure can be looked at again: `SUGGESTION_SEED=…`. */
const SEED = Number(process.env.SUGGESTION_SEED ?? Date.now() % 1_000_000);
let state = SEED + 1;
const random = (below: number): number => {
  // Park and Miller's generator: enough to choose with.
  state = (state * 48_271) % 2_147_483_647;
  return state % below;
};
const choose = <T>(from: readonly T[]): T => from[random(from.length)] as T;
const sometimes = (share: number): boolean => random(1000) < share * 1000;

type Json = Record<string, unknown>;
interface Operation {
  operationId: string;
  parameters: { name: string; in: string; schema: Json }[];
  requestBody?: { content: { "application/json": { example: Json } } };
  responses: Record<string, { content?: Record<string, { schema: Json }> }>;
}

let at: Place;
let repository: AgentRepository;
let document: { paths: Record<string, Record<string, Operation>>; components: Json };
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
const validators = new Map<string, ReturnType<typeof ajv.compile>>();

/** A server of its own with a project: what one run of a few hundred requests made makes the next ones slow. */
async function open(): Promise<void> {
  at = await Place.open({
    options: { verify: { command: "true" } },
    limits: { requestsPerSecond: 100_000, requestBurst: 100_000 } as never,
  });
  repository = await AgentRepository.add(at);
}

beforeAll(async () => {
  await open();
  document = (await at.ask("/openapi.json")).body;
});
afterAll(() => at.stop());

/** What a request may name: things that are there, were there, never were, and nonsense. */
class World {
  ids: string[] = ["nothing", "0198c0de-0000-7000-8000-000000000001", "../../etc/passwd", "ü", ""];
  hunks: Hunk[] = [];
  digest = "0".repeat(64);

  async grow(): Promise<void> {
    repository.edit("src/a.ts", (text) => text.replace(/line (\d+)\n/, `line ${random(10_000)}x\n`));
    repository.edit("keep.txt", (text) => `${text}more ${random(1_000_000)}\n`);
    const { id, hunks } = await repository.publishAsItIs(`Random ${random(1000)}`);
    this.ids.push(id);
    this.hunks = hunks.slice(0, 20);
  }

  value(name: string, schema: Json): unknown {
    if (sometimes(0.1)) return choose([null, 1.5, -1, "", "x".repeat(5000), [], {}, true, "\u0000", "ok"]);
    switch (name) {
      case "suggestion_id":
      case "id":
        return sometimes(0.8) ? this.ids.at(-1 - random(2)) : choose(this.ids);
      case "hunk_id":
        return sometimes(0.9) ? choose(this.hunks)?.id : "none:none:0";
      case "digest":
        return sometimes(0.7) ? choose(this.hunks)?.digest : this.digest;
      case "project":
        return sometimes(0.9) ? repository.dir : "/nowhere";
      case "action":
        return choose(["accept", "reject", "modify", "finalize", "discard"]);
      case "modified_diff":
        return choose([choose(this.hunks)?.diff, "", "@@ -1 +1 @@\n-x\n+y\n", "garbage"]);
      case "scope":
        return { action: choose(["accept", "reject"]), include: choose(["remaining", "all"]) };
      case "decisions":
        return this.hunks
          .slice(0, 2)
          .map(({ id }) => ({ hunk_id: id, action: choose(["accept", "reject"]) }));
      case "lines":
        return { old: [0, random(3)], new: [0, random(3)] };
      case "file":
        return choose(["src/a.ts", "keep.txt", "src", "none", "/etc/passwd", "a/../b"]);
      case "cursor":
        return choose(["W10", "x", Buffer.from('["",""]').toString("base64url")]);
      case "change_id":
        return choose(["@", "@-", "zzzz", "kkkkkkkkkkkk", "nonsense!"]);
      case "request_id":
        return `r${random(30)}`;
      case "updated_since":
        return choose(["2020-01-01T00:00:00Z", "2999-01-01T00:00:00+02:00", "yesterday"]);
      case "nonce":
        return choose(["abcdefgh", "?"]);
      case "since":
        return choose([0, 1, random(500), 1_000_000]);
    }
    if (Array.isArray(schema.enum)) return choose(schema.enum);
    if (schema.type === "integer") return choose([0, 1, 2, 50, 100_000, -1]);
    return choose(["text", "Random", "a b", "ünïcode"]);
  }
}

function propertiesOf(operationId: string): Record<string, Json> {
  const name = `${operationId.charAt(0).toUpperCase()}${operationId.slice(1)}Request`;
  const known: Record<string, string> = {
    redo: "UndoRequest",
    permission: "PermissionReplyRequest",
    question: "QuestionReplyRequest",
  };
  const schemas = (document.components as { schemas: Record<string, { properties?: Record<string, Json> }> })
    .schemas;
  return schemas[known[operationId] ?? name]?.properties ?? {};
}

let world = new World();

interface Sent {
  method: string;
  path: string;
  route: string;
  operation: Operation;
  init: Parameters<Place["ask"]>[1];
}

function makeRequest(): Sent {
  const [route, methods] = choose(Object.entries(document.paths));
  const [method, operation] = choose(Object.entries(methods));
  let path = route.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(world.value(name, {}) ?? "x")),
  );
  const query = new URLSearchParams();
  for (const { name, in: place, schema } of operation.parameters)
    if (place === "query" && sometimes(0.4)) query.append(name, String(world.value(name, schema)));
  if (sometimes(0.03)) query.append("unknown", "x");
  if (query.size > 0) path += `?${query}`;
  const headers: Record<string, string> = {};
  if (sometimes(0.1)) headers["Accept-Encoding"] = choose(["gzip", "identity", "gzip;q=0"]);
  if (sometimes(0.1)) headers["Idempotency-Key"] = `k${random(20)}`;
  if (sometimes(0.1)) headers["If-None-Match"] = choose(["*", '"x"', "nonsense"]);
  if (sometimes(0.1)) headers["X-Request-Id"] = choose(["mine-1", "not valid", "x".repeat(100)]);
  const token = sometimes(0.1) ? choose([null, "wrong", at.agent]) : at.developer;
  const init: Sent["init"] = { method: method.toUpperCase(), headers, token };
  if (operation.requestBody !== undefined) {
    const body: Json = sometimes(0.2) ? { ...operation.requestBody.content["application/json"].example } : {};
    for (const [name, schema] of Object.entries(propertiesOf(operation.operationId))) {
      const needed = /suggestion_id|hunk_id|^action|description|message|^text|^comment/.test(name);
      if (sometimes(needed ? 0.93 : 0.2)) body[name] = world.value(name, schema);
    }
    if (sometimes(0.03)) body.unknown = 1;
    init.body = sometimes(0.02) ? "{broken" : body;
  }
  return { method, path, route, operation, init };
}

/** Why an answer is not what the document says, or null. */
function misfit({ operation, method, route }: Sent, answer: Answered): string | null {
  const declared = operation.responses[String(answer.status)];
  if (declared === undefined) return `status ${answer.status} is not declared`;
  if (answer.headers.get("x-request-id") === null) return "no X-Request-Id";
  if (declared.content === undefined) return answer.text === "" ? null : "a body where none is declared";
  const type = (answer.headers.get("content-type") ?? "").split(";")[0] ?? "";
  const media = Object.entries(declared.content).find(([name]) => name.split(";")[0] === type);
  if (media === undefined) return `media type ${type} is not declared`;
  if (type !== "application/json") return null;
  const key = `${method} ${route} ${answer.status}`;
  let validate = validators.get(key);
  if (validate === undefined) {
    validate = ajv.compile({ ...media[1].schema, components: document.components });
    validators.set(key, validate);
  }
  return validate(answer.body) ? null : ajv.errorsText(validate.errors).slice(0, 500);
}

test(`E8: each answer to ${REQUESTS} random requests fits the published schema (seed ${SEED})`, async () => {
  await world.grow();
  const statuses = new Map<number, number>();
  for (let n = 0; n < REQUESTS; n++) {
    if (n > 0 && n % ROUND === 0) {
      await at.stop();
      await open();
      world = new World();
      await world.grow();
    }
    if (n % 60 === 59) await world.grow().catch(() => undefined);
    const sent = makeRequest();
    // Never end by themselves; what they answer is looked at in events.test.ts and the tests of the activity.
    const isStream = sent.operation.operationId.startsWith("stream");
    if (isStream && [at.developer, at.agent].includes(sent.init?.token ?? "")) continue;
    const answer = await at.ask(sent.path, sent.init);
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    const wrong = misfit(sent, answer);
    if (wrong !== null)
      throw new Error(
        `seed ${SEED}, request ${n}: ${sent.method} ${sent.path} ${JSON.stringify(sent.init?.body)}\n→ ${answer.status} ${answer.text.slice(0, 400)}\n${wrong}`,
      );
  }
  // Both kinds came: requests that did something, and refusals of many kinds.
  expect(statuses.get(200) ?? 0).toBeGreaterThan(REQUESTS / 8);
  expect(statuses.size).toBeGreaterThan(5);
  expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
  process.stdout.write(`${[...statuses].map(([status, count]) => `${status}: ${count}`).join(", ")}\n`);
});
