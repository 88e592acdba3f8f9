/** Starts and stops the server: wiring only. One per process; its doors hold no rules of the review. */
import { chmodSync } from "node:fs";
import type { Config } from "../config.ts";
import { ReviewError } from "../protocol/errors.ts";
import type { ReviewDesk } from "../review/contract.ts";
import { ActivityFeed } from "./activity-feed.ts";
import { Connections, type Context } from "./context.ts";
import { Feed } from "./feed.ts";
import { GitHttp } from "./git/git-http.ts";
import { boundAddresses } from "./http/guard.ts";
import { HttpDoor } from "./http-door.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { ListTexts } from "./list-texts.ts";
import type { Log } from "./log.ts";
import { Metrics } from "./metrics.ts";
import { addressesOf, portTaken, removeDeadSocket } from "./port.ts";
import { Buckets } from "./rate.ts";
import type { SocketClient } from "./socket/socket-client.ts";
import { Sockets } from "./socket/sockets.ts";
import type { Tokens } from "./tokens/tokens.ts";

export { createLog, type Log } from "./log.ts";
export { PortTakenError } from "./port.ts";

const STOP_MS = 100;

export interface ServerOptions {
  config: Config;
  desk: ReviewDesk;
  tokens: Tokens;
  log: Log;
  version: string;
  limits?: Partial<Limits>;
}

export interface RunningServer {
  url: string;
  hostname: string;
  port: number;
  wsClients(): number;
  stop(): Promise<void>;
}

/** @throws PortTakenError when the port belongs to somebody else; its `ours` tells whether to the same service */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const context = contextOf(options);
  const { config, tokens, log, limits, version } = context;
  const sockets = new Sockets(context);
  let door: HttpDoor | null = null;
  let server: Bun.Server<SocketClient>;
  try {
    server = await open(context, sockets, (request, own) => door?.handle(request, own));
  } catch (error) {
    context.feed.stop();
    context.activity.stop();
    context.lists.stop();
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw await portTaken(config, tokens, error);
  }
  await settleAddress(context, server);
  const git = new GitHttp(context);
  door = new HttpDoor(context, git, sockets);
  const { streams } = door;

  const sweeping = setInterval(() => {
    sockets.sweep(performance.now());
    streams.sweep();
  }, limits.sweepMs);
  sweeping.unref();

  const url = urlOf(config.host, context.port);
  log.info("listening", { url, version, ...(config.socket === null ? {} : { socket: config.socket }) });
  let stopped: Promise<void> | null = null;

  async function stop(): Promise<void> {
    clearInterval(sweeping);
    context.feed.flush();
    sockets.closeAll();
    streams.closeAll();
    git.stop();
    // Close frames are on their way; whoever has not taken them is cut.
    await Bun.sleep(sockets.size > 0 ? 50 : 0);
    context.feed.stop();
    context.activity.stop();
    context.lists.stop();
    // The port is free at once, but after a close of ours the runtime's promise never settles (Bun 1.3.14 counts the
    // socket as pending for ever), and waiting on it alone would spin.
    await Promise.race([server.stop(true), Bun.sleep(STOP_MS)]);
    log.info("stopped", { url });
  }

  return {
    url,
    hostname: config.host,
    port: context.port,
    wsClients: () => sockets.size,
    stop: () => {
      stopped ??= stop();
      return stopped;
    },
  };
}

function contextOf({ limits: given, ...options }: ServerOptions): Context {
  const limits: Limits = { ...DEFAULT_LIMITS, ...given };
  return {
    ...options,
    limits,
    feed: new Feed(options.desk),
    activity: new ActivityFeed(options.desk),
    lists: new ListTexts(options.desk),
    metrics: new Metrics(),
    requests: new Buckets({ perSecond: limits.requestsPerSecond, burst: limits.requestBurst }),
    failures: new Buckets({ perSecond: limits.failuresPerSecond, burst: limits.failureBurst }),
    port: options.config.port,
    addresses: [],
    startedAt: Date.now(),
    connections: new Connections(),
  };
}

/** Where clients find this server, once it listens. */
async function settleAddress(context: Context, server: Bun.Server<SocketClient>): Promise<void> {
  const { config } = context;
  if (config.socket !== null) {
    // The relay has the address, and nobody else can while it does.
    context.addresses = await addressesOf(config.host, config.port);
    return;
  }
  context.port = server.port ?? config.port;
  // Bun has it, its types do not: the address that a name such as localhost was resolved to.
  const bound = (server as { address?: { address: string } | null }).address;
  context.addresses = boundAddresses(bound?.address ?? config.host, context.port);
}

type Handle = (request: Request, server: Bun.Server<SocketClient>) => ReturnType<HttpDoor["handle"]>;

/** At the port, or at the socket in its place, which then is its owner's alone. */
async function open(context: Context, sockets: Sockets, handle: Handle): Promise<Bun.Server<SocketClient>> {
  const { host, port, socket } = context.config;
  if (socket === null) return listen(context, sockets, handle, { hostname: host, port });
  if (port === 0)
    throw new ReviewError("invalid_request", "port: expected the port of the relay, since there is a socket");
  const listenThere = () => listen(context, sockets, handle, { unix: socket });
  let server: Bun.Server<SocketClient>;
  try {
    server = listenThere();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || !(await removeDeadSocket(socket)))
      throw error;
    server = listenThere();
  }
  chmodSync(socket, 0o600);
  return server;
}

function listen(
  { limits, log }: Context,
  sockets: Sockets,
  handle: Handle,
  where: { hostname: string; port: number } | { unix: string },
): Bun.Server<SocketClient> {
  const settings = {
    idleTimeout: limits.httpIdleSeconds,
    // Bodies are counted as they are read (body.ts, git-http.ts): a pack may be far larger than any JSON.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    development: false,
    fetch: handle,
    error: (error: Error) => {
      log.error("unforeseen failure", { error });
      return new Response(null, { status: 500 });
    },
    websocket: sockets.handler,
  };
  // Its types leave the idle time out for a socket; the runtime has it there too.
  if ("unix" in where)
    return Bun.serve<SocketClient>({ ...settings, ...where } as unknown as Bun.Serve.Options<SocketClient>);
  // Said aloud: with development off the runtime would let a second process share the port and take half of the
  // connections (Bun 1.3.14).
  return Bun.serve<SocketClient>({ ...settings, ...where, reusePort: false });
}

const urlOf = (host: string, port: number): string =>
  `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
