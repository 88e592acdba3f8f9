/**
 * The way out: one port that speaks HTTP (CONNECT, and plain requests) and SOCKS5, and connects to nothing that the lists do
 * not allow. It sees names and addresses; what is said inside a tunnel it does not see.
 */
import { type Opened, open, type Resolve, type Target } from "./connect.ts";
import { type Connection, type Listener, listen } from "./connection.ts";
import { listenGiven } from "./given.ts";
import { answer, HEAD_BYTES, parseHead, type Who } from "./http.ts";
import { pump } from "./pump.ts";
import { entryText, isPort, type Reason, type Rules } from "./rules.ts";
import * as socks from "./socks.ts";

/** Whom a listener is for: the model's commands, or their host. Each has a list of its own from the start. */
export type Door = "command" | "host";

export interface ProxyOptions {
  door: Door;
  /** Read for each connection. */
  rules(): Rules;
  refused(refusal: { host: string; port: number; reason: Reason } & Who): void;
  resolve?: Resolve;
  /** Connections at once. */
  most?: number;
}

const MOST = 512;
const HEAD_MS = 30_000;
/** What the developer runs to allow it. */
const REMEDY = "npm run sandbox -- allow";

/**
 * Listens until it is stopped. A Unix socket also takes connections that are given ({@link listenGiven}).
 * @param where a port of loopback (0 for a free one), or the path of a Unix socket
 */
export function startProxy(where: { port: number } | { unix: string }, options: ProxyOptions): Listener {
  const start = (client: Connection) => void serve(client, options).catch(() => client.destroy());
  const most = options.most ?? MOST;
  const called = listen(where, start, most);
  const given = "unix" in where ? listenGiven(where.unix, start, most) : null;
  return {
    stop(all) {
      called.stop(all);
      given?.stop(all);
    },
    port: called.port,
    get open() {
      return called.open + (given?.open ?? 0);
    },
  };
}

const LIMITS = { most: HEAD_BYTES, ms: HEAD_MS };

async function serve(client: Connection, options: ProxyOptions): Promise<void> {
  const first = await client.read((bytes) => ({ value: bytes[0], length: 0 }), LIMITS);
  if (first === socks.VERSION) await serveSocks(client, options);
  else if (first !== null) await serveHttp(client, options);
  else client.destroy();
}

async function reach({ host, port }: Target, options: ProxyOptions, who: Who = {}): Promise<Opened> {
  const opened: Opened = isPort(port)
    ? await open({ host, port }, options.rules, options.resolve)
    : { refused: "name", detail: "that is no port" };
  if ("refused" in opened) options.refused({ host, port, reason: opened.refused, ...who });
  return opened;
}

const whoOf = ({ program, call }: Who): Who => ({
  ...(program === undefined ? {} : { program }),
  ...(call === undefined ? {} : { call }),
});

async function serveHttp(client: Connection, options: ProxyOptions): Promise<void> {
  const head = await client.read((bytes) => {
    const end = bytes.indexOf("\r\n\r\n");
    return end < 0 ? "more" : { value: bytes.toString("latin1", 0, end), length: end + 4 };
  }, LIMITS);
  const request = head === null ? "that is no HTTP request, or its head is too long" : parseHead(head);
  if (typeof request === "string") {
    client.end(answer("400 Bad Request", `Isolated AI Coder: ${request}.`));
    return;
  }
  const opened = await reach(request, options, whoOf(request));
  if ("connection" in opened) {
    if (request.kind === "connect") client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    else opened.connection.write(request.head);
    client.join(opened.connection, pump());
    return;
  }
  const where = entryText(request).replace(/[^!-~]/g, "?");
  client.end(
    "failed" in opened
      ? answer("502 Bad Gateway", `Isolated AI Coder: ${where} was not reached: ${opened.failed}.`)
      : answer("403 Forbidden", refusalText(where, opened)),
  );
}

/** What a program is told, and shows the model: who can change it, and how. */
function refusalText(where: string, { refused, detail }: { refused: Reason; detail: string }): string {
  const words = `Isolated AI Coder: ${where} is not reached from here: ${detail}.`;
  return refused === "not-allowed" || refused === "denied" || refused === "address"
    ? `${words} The developer can allow it with: ${REMEDY} ${where}`
    : words;
}

async function serveSocks(client: Connection, options: ProxyOptions): Promise<void> {
  const taken = await client.read(socks.readGreeting, LIMITS);
  if (taken !== null) client.write(socks.greetingAnswer(taken));
  if (taken !== true) return void client.end();
  const request = await client.read(socks.readRequest, LIMITS);
  if (request === null) return void client.end();
  if ("reply" in request) return void client.end(socks.requestAnswer(request.reply));
  const opened = await reach(request, options);
  if (!("connection" in opened)) {
    const reply = "failed" in opened ? socks.REPLY.unreachable : socks.REPLY.notAllowed;
    return void client.end(socks.requestAnswer(reply));
  }
  client.write(socks.requestAnswer(socks.REPLY.made));
  client.join(opened.connection, pump());
}
