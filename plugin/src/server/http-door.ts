/**
 * The HTTP door. The order of its checks is the order of trust: where the request comes from, who asks, how often,
 * what is asked for, whether this role may, and only then the body.
 */
import type { Server } from "bun";
import { z } from "zod";
import { ReviewError, toReviewError } from "../protocol/errors.ts";
import { checkAccess } from "./access.ts";
import type { Context } from "./context.ts";
import type { GitHttp } from "./git/git-http.ts";
import {
  etagOf,
  JSON_TYPE,
  Payload,
  rateLimited,
  refusal,
  respond,
  SECURITY_HEADERS,
  unauthorized,
} from "./http/answers.ts";
import { parseJson, readBytes } from "./http/body.ts";
import { EventStreams } from "./http/event-stream.ts";
import {
  allowedHosts,
  checkHost,
  checkJson,
  checkNoTokenInUrl,
  checkOrigin,
  presentedToken,
} from "./http/guard.ts";
import { Matcher } from "./http/match.ts";
import type { Route } from "./route.ts";
import { ROUTES } from "./routes.ts";
import type { SocketClient } from "./socket/socket-client.ts";
import type { Sockets } from "./socket/sockets.ts";
import type { Identity } from "./tokens/tokens.ts";
import { check, queryObject } from "./validate.ts";

/** Which of several projects an agent that comes through `/mcp` works on. */
const McpQuery = z.strictObject({ project: z.string().optional() });

type BunServer = Server<SocketClient>;

/** What is known of a request for the log and the counters. */
interface Seen {
  route: string;
  id: string;
}

/** The client's own name for the request, or one of ours; in the answer and in every line of the log about it. */
function requestId(headers: Headers): string {
  const given = headers.get("x-request-id");
  return given !== null && /^[A-Za-z0-9._-]{1,64}$/.test(given) ? given : crypto.randomUUID();
}

/** Undefined: the connection became a WebSocket. */
type Answer = Response | undefined;

export class HttpDoor {
  readonly streams: EventStreams;
  readonly #context: Context;
  readonly #git: GitHttp;
  readonly #sockets: Sockets;
  readonly #matcher = new Matcher(ROUTES);
  readonly #hosts: Set<string>;

  constructor(context: Context, git: GitHttp, sockets: Sockets) {
    this.#context = context;
    this.#sockets = sockets;
    this.#git = git;
    this.#hosts = allowedHosts(context.config.host, context.port);
    this.streams = new EventStreams(context);
  }

  /** Refusals and upgrades are answered at once, without a promise: they are what a flood is made of. */
  handle(request: Request, server: BunServer): Answer | Promise<Answer> {
    const seen = { route: "(refused)", id: requestId(request.headers) };
    const counted = (answer: Answer): Answer => {
      const status = answer?.status ?? 101;
      this.#context.metrics.request(request.method, seen.route, status);
      this.#context.log.debug("request", { id: seen.id, method: request.method, route: seen.route, status });
      answer?.headers.set("X-Request-Id", seen.id);
      return answer;
    };
    try {
      const answer = this.#answer(request, server, seen);
      if (!(answer instanceof Promise)) return counted(answer);
      return answer.catch((thrown) => this.#failed(thrown, seen)).then(counted);
    } catch (thrown) {
      return counted(this.#failed(thrown, seen));
    }
  }

  #failed(thrown: unknown, { route, id }: Seen): Response {
    const error = toReviewError(thrown);
    if (error.status >= 500) {
      this.#context.log.error("request failed", { id, route, code: error.code, error: error.cause ?? error });
    }
    return refusal(error);
  }

  #answer(request: Request, server: BunServer, seen: Seen): Answer | Promise<Answer> {
    const { headers } = request;
    checkHost(headers, this.#hosts);
    checkOrigin(headers, this.#context.config.allowedOrigins);
    const url = new URL(request.url);
    const isGit = url.pathname.startsWith("/git/");
    const isHealth = url.pathname === "/health";
    const identity = this.#context.tokens.identify(presentedToken(headers, isGit));
    if (identity === null && !isHealth) return this.#stranger(request, server, isGit);
    if (identity !== null) {
      const wait = this.#context.requests.take(identity.sha256, performance.now());
      if (wait > 0) return rateLimited(wait);
      checkNoTokenInUrl(url);
    }
    if (isGit && identity !== null) {
      seen.route = "/git";
      // The runtime's idle time is a fixed term from the head on; git-http.ts watches for bytes that move instead.
      server.timeout(request, 0);
      return this.#git.handle(request, url, identity);
    }
    if (url.pathname === "/mcp" && identity !== null) {
      seen.route = "/mcp";
      return this.#mcp(request, url, server, identity);
    }
    if (url.pathname === "/ws" && identity !== null) {
      seen.route = "/ws";
      return this.#upgrade(request, server, identity);
    }
    return this.#route(request, url, server, identity, seen);
  }

  /** Missing and wrong tokens alike. The bucket is the connection's own, so no flood reaches anybody else's. */
  #stranger(request: Request, server: BunServer, isGit: boolean): Response {
    const from = server.requestIP(request);
    // Through a relay all connections look alike: one bucket for them would let each of them shut the others out.
    const wait =
      from === null ? 0 : this.#context.failures.take(`${from.address}:${from.port}`, performance.now());
    if (wait > 0) return rateLimited(wait);
    return unauthorized(isGit ? "Basic" : "Bearer");
  }

  async #route(
    request: Request,
    url: URL,
    server: BunServer,
    identity: Identity | null,
    seen: Seen,
  ): Promise<Response> {
    const match = this.#matcher.match(request.method, url.pathname);
    if (!match.found) return this.#noRoute(request.method, match.allow);
    const { route, parameters } = match;
    seen.route = route.path;
    if (route.access !== "open" && identity !== null) {
      checkAccess(route.access, identity.role, this.#context.config.agentMayApprove);
    }
    const query = check(route.query, queryObject(url), "Query");
    const body = route.body === null ? undefined : await this.#body(request, route);
    const opened = (open: (identity: Identity) => Response): Response => {
      if (identity === null) throw new ReviewError("unauthorized", "Expected a valid token");
      this.#checkRoom(identity);
      this.#checkStreams(identity);
      server.timeout(request, 0);
      return open(identity);
    };
    const running = route.run({
      context: this.#context,
      identity,
      parameters,
      query,
      body,
      request,
      stream: (since, project) => opened((reader) => this.streams.open(request, reader, since, project)),
      watch: (since, filter) => opened((reader) => this.streams.watch(request, reader, since, filter)),
    });
    // A verify or a push may take minutes, in which nothing moves on this connection.
    if (running instanceof Promise) server.timeout(request, 0);
    const result = await running;
    // First the broadcast, then the answer.
    this.#context.feed.flush();
    if (result instanceof Response) return result;
    const payload = result instanceof Payload ? result : new Payload(JSON.stringify(result), JSON_TYPE);
    return respond(request, payload, route.status, route.tagged ? etagOf(payload.body) : undefined);
  }

  async #body(request: Request, route: Route): Promise<unknown> {
    checkJson(request.headers);
    const value = parseJson(await readBytes(request, this.#context.limits), "Request body");
    const schema = route.body as NonNullable<Route["body"]>;
    return check(schema, withIdempotencyKey(schema, value, request.headers), "Request body");
  }

  /** What is wrong with the request is said as everywhere here; what is wrong with the message, as its protocol says it. */
  async #mcp(request: Request, url: URL, server: BunServer, identity: Identity): Promise<Response> {
    if (request.method !== "POST") return this.#noRoute(request.method, ["POST"]);
    const { project } = check(McpQuery, queryObject(url), "Query");
    checkJson(request.headers);
    const message = parseJson(await readBytes(request, this.#context.limits), "Request body");
    // A call may wait for the developer: it takes the room of a stream.
    this.#checkRoom(identity);
    this.#checkStreams(identity);
    server.timeout(request, 0);
    this.#context.connections.countStream(identity.role, 1);
    try {
      // Few servers are ever asked, and the protocol's library is large.
      const { answerMcp } = await import("./mcp/mcp-door.ts");
      const isAllowed = () => this.#context.tokens.validity()(identity);
      const answer = await answerMcp(this.#context, request, message, project, isAllowed);
      for (const [name, value] of Object.entries(SECURITY_HEADERS)) answer.headers.set(name, value);
      return answer;
    } finally {
      this.#context.connections.countStream(identity.role, -1);
    }
  }

  #noRoute(method: string, allow: string[]): Response {
    if (allow.length === 0)
      return refusal(new ReviewError("not_found", "No such address here; see /openapi.json"));
    const error = new ReviewError("method_not_allowed", `${method}: expected ${allow.join(" or ")}`);
    return refusal(error, { Allow: allow.join(", ") });
  }

  #checkRoom(identity: Identity): void {
    const { connections, limits } = this.#context;
    const full =
      connections.all >= limits.maxSockets ||
      (identity.role === "agent" && connections.agents >= limits.maxAgentSockets);
    if (!full) return;
    throw new ReviewError("unavailable", `Too many open sockets and streams (${connections.all})`, {
      details: { limit: limits.maxSockets, agent_limit: limits.maxAgentSockets },
    });
  }

  #checkStreams(identity: Identity): void {
    const { connections, limits } = this.#context;
    const full =
      connections.streams >= limits.maxStreams ||
      (identity.role === "agent" && connections.agentStreams >= limits.maxAgentStreams);
    if (!full) return;
    throw new ReviewError("unavailable", `Too many event streams (${connections.streams})`, {
      details: { limit: limits.maxStreams, agent_limit: limits.maxAgentStreams },
    });
  }

  #upgrade(request: Request, server: BunServer, identity: Identity): Answer {
    if (request.method !== "GET") return this.#noRoute(request.method, ["GET"]);
    const { headers } = request;
    if (
      headers.get("upgrade")?.toLowerCase() !== "websocket" ||
      headers.get("sec-websocket-version") !== "13"
    ) {
      const error = new ReviewError("upgrade_required", "Expected a WebSocket handshake, version 13");
      return refusal(error, { Upgrade: "websocket", "Sec-WebSocket-Version": "13" });
    }
    this.#checkRoom(identity);
    const { connections } = this.#context;
    const upgraded = server.upgrade(request, {
      data: this.#sockets.client(identity),
      headers: SECURITY_HEADERS,
    });
    if (!upgraded) throw new ReviewError("invalid_request", "The WebSocket handshake is not complete");
    connections.sockets += 1;
    if (identity.role === "agent") connections.agents += 1;
    return undefined;
  }
}

/**
 * `Idempotency-Key` is another way to give a request its `request_id`
 * (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/; quotes around it are part of that form).
 * Requests without one, such as `/settle`, can be repeated as they are.
 *
 * @throws ReviewError where both are given and differ
 */
function withIdempotencyKey(schema: z.ZodType, body: unknown, headers: Headers): unknown {
  const header = headers.get("idempotency-key");
  const known = schema instanceof z.ZodObject && "request_id" in schema.shape;
  if (!known || header === null || body === null || typeof body !== "object" || Array.isArray(body))
    return body;
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  const given = (body as { request_id?: unknown }).request_id;
  if (given === undefined) return { ...body, request_id: key };
  if (given === key) return body;
  throw new ReviewError(
    "invalid_request",
    "Idempotency-Key header: expected the same as request_id in the body",
    {
      details: { field: "request_id" },
    },
  );
}
