/**
 * The way out: one port that speaks HTTP (CONNECT, and plain requests) and SOCKS5, and connects to nothing that the lists do
 * not allow. It sees names and addresses; what is said inside a tunnel it does not see.
 */
import { createServer, type Server, type Socket } from "node:net";
import { type Opened, open, type Resolve, type Target } from "./connect.ts";
import { answer, HEAD_BYTES, parseHead } from "./http.ts";
import { join } from "./pipe.ts";
import { entryText, isPort, type Reason, type Rules } from "./rules.ts";
import * as socks from "./socks.ts";

/** Whom a listener is for: the model's commands, or their host. Each has a list of its own from the start. */
export type Door = "command" | "host";

export interface ProxyOptions {
  door: Door;
  /** Read for each connection. */
  rules(): Rules;
  refused(refusal: { host: string; port: number; reason: Reason; program?: string }): void;
  resolve?: Resolve;
  /** Connections at once. */
  most?: number;
}

const MOST = 512;
const HEAD_MS = 30_000;
/** What the developer runs to allow it. */
const REMEDY = "npm run sandbox -- allow";

export function createProxy(options: ProxyOptions): Server {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    client.on("error", () => client.destroy());
    void serve(client, options).catch(() => client.destroy());
  });
  server.maxConnections = options.most ?? MOST;
  return server;
}

/** Reads until `parse` has found something; what is left over stays in front of the stream. */
function readFrom<T>(client: Socket, parse: (bytes: Buffer) => socks.Read<T>): Promise<T | null> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const done = (value: T | null, rest: Buffer) => {
      clearTimeout(timer);
      client.off("data", take);
      client.off("close", gone);
      client.off("end", gone);
      client.pause();
      if (rest.length > 0) client.unshift(rest);
      resolve(value);
    };
    const gone = () => done(null, Buffer.alloc(0));
    const take = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const read = parse(bytes);
      if (read === "more" && bytes.length <= HEAD_BYTES) return;
      if (typeof read === "string") gone();
      else done(read.value, bytes.subarray(read.length));
    };
    const timer = setTimeout(gone, HEAD_MS);
    client.on("data", take).resume();
    client.once("close", gone);
    client.once("end", gone);
  });
}

async function serve(client: Socket, options: ProxyOptions): Promise<void> {
  const first = await readFrom(client, (bytes) => ({ value: bytes[0], length: 0 }));
  if (first === socks.VERSION) await serveSocks(client, options);
  else if (first !== null) await serveHttp(client, options);
  else client.destroy();
}

async function reach(target: Target, options: ProxyOptions, program?: string): Promise<Opened> {
  const opened: Opened = isPort(target.port)
    ? await open(target, options.rules, options.resolve)
    : { refused: "name", detail: "that is no port" };
  if ("refused" in opened)
    options.refused({ ...target, reason: opened.refused, ...(program === undefined ? {} : { program }) });
  return opened;
}

async function serveHttp(client: Socket, options: ProxyOptions): Promise<void> {
  const head = await readFrom(client, (bytes) => {
    const end = bytes.indexOf("\r\n\r\n");
    return end < 0 ? "more" : { value: bytes.toString("latin1", 0, end), length: end + 4 };
  });
  const request = head === null ? "that is no HTTP request, or its head is too long" : parseHead(head);
  if (typeof request === "string") {
    client.end(answer("400 Bad Request", `Isolated AI Coder: ${request}.`));
    return;
  }
  const opened = await reach(request, options, request.program);
  if ("socket" in opened) {
    if (request.kind === "connect") client.write("HTTP/1.1 200 Connection established\r\n\r\n");
    else opened.socket.write(request.head, "latin1");
    join(client, opened.socket);
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

async function serveSocks(client: Socket, options: ProxyOptions): Promise<void> {
  const taken = await readFrom(client, socks.readGreeting);
  if (taken !== null) client.write(socks.greetingAnswer(taken));
  if (taken !== true) return void client.end();
  const request = await readFrom(client, socks.readRequest);
  if (request === null) return void client.end();
  if ("reply" in request) return void client.end(socks.requestAnswer(request.reply));
  const opened = await reach(request, options);
  if (!("socket" in opened)) {
    const reply = "failed" in opened ? socks.REPLY.unreachable : socks.REPLY.notAllowed;
    return void client.end(socks.requestAnswer(reply));
  }
  client.write(socks.requestAnswer(socks.REPLY.made));
  join(client, opened.socket);
}
