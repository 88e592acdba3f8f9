/**
 * A WebSocket client of the review server, on the `ws` package under plain Node: independent of the server's own
 * socket code and of the Lua client.
 *
 *   bun test-harness/ws-test.ts --token-file FILE [--url http://127.0.0.1:4097] [--since N]
 *       interactive: list · get ID · accept HUNK · reject HUNK [why] · modify HUNK FILE · finalize ID · discard ID
 *       · since N · ping · {"type": …} (any command as JSON) · quit
 *   bun test-harness/ws-test.ts --token-file FILE --script
 *       commands as JSON lines on standard input, every message as a JSON line on standard output; ends when input
 *       has ended and every command is answered. {"wait": "event.type"} waits for an event of that type.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import WebSocket from "ws";
import { underNode } from "./support/under-node.ts";

const USAGE = "usage: ws-test --token-file FILE [--url URL] [--since N] [--script] [--timeout MS]\n";

interface Message {
  type: string;
  id?: string | number;
  [field: string]: unknown;
}

/** Words of a person as a command of the protocol. */
function commandOf(line: string): Record<string, unknown> | null {
  if (line.startsWith("{")) return JSON.parse(line) as Record<string, unknown>;
  const [verb = "", first = "", ...rest] = line.split(/\s+/);
  const suggestionId = first.split(":", 1)[0];
  const words = rest.join(" ");
  if (verb === "list" || verb === "ping") return { type: verb };
  if (verb === "get") return { type: "get", suggestionId: first };
  if (verb === "since") return { type: "subscribe", since: Number(first) };
  if (verb === "accept" || verb === "reject") {
    const comment = words === "" ? {} : { comment: words };
    return { type: "feedback", suggestionId, hunkId: first, action: verb, ...comment };
  }
  if (verb === "modify") {
    const modifiedDiff = readFileSync(words, "utf8");
    return { type: "feedback", suggestionId, hunkId: first, action: "modify", modifiedDiff };
  }
  if (verb === "finalize" || verb === "discard")
    return { type: "complete", suggestionId: first, action: verb };
  return null;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      "token-file": { type: "string" },
      url: { type: "string", default: "http://127.0.0.1:4097" },
      since: { type: "string" },
      script: { type: "boolean", default: false },
      timeout: { type: "string", default: "30000" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  if (values["token-file"] === undefined) throw new Error(`--token-file is needed\n${USAGE}`);
  const token = readFileSync(values["token-file"], "utf8").trim();
  const socket = new WebSocket(`${values.url.replace(/^http/, "ws")}/ws`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  const messages: Message[] = [];
  const listeners = new Set<() => void>();
  socket.on("message", (data) => {
    const message = JSON.parse(data.toString()) as Message;
    messages.push(message);
    process.stdout.write(`${values.script ? JSON.stringify(message) : `← ${JSON.stringify(message)}`}\n`);
    for (const listener of [...listeners]) listener();
  });
  socket.on("close", (code, reason) => {
    process.stderr.write(`closed: ${code} ${reason.toString()}\n`);
    process.exit(code === 1000 ? 0 : 1);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
    socket.once("unexpected-response", (_request, response) =>
      reject(new Error(`the server answered ${response.statusCode}`)),
    );
  });
  const arrives = (what: string, look: (message: Message) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${what} came`)), Number(values.timeout));
      const listener = () => {
        if (!messages.some(look)) return;
        clearTimeout(timer);
        listeners.delete(listener);
        resolve();
      };
      listeners.add(listener);
      listener();
    });
  let next = 1;
  const send = (command: Record<string, unknown>): Promise<void> => {
    const id = command.id ?? `c${next++}`;
    socket.send(JSON.stringify({ ...command, id }));
    return arrives(
      `answer to ${command.type}`,
      (message) => message.type === "response" && message.id === id,
    );
  };
  if (values.since !== undefined) await send({ type: "subscribe", since: Number(values.since) });
  const input = createInterface({ input: process.stdin, ...(values.script ? {} : { prompt: "> " }) });
  if (!values.script) input.prompt();
  for await (const raw of input) {
    const line = raw.trim();
    if (line === "quit") break;
    try {
      const command = line === "" ? null : commandOf(line);
      if (typeof command?.wait === "string")
        await arrives(command.wait, (message) => message.type === command.wait);
      else if (command !== null) await send(command);
      else if (line !== "") process.stderr.write("not understood; see --help\n");
    } catch (error) {
      if (values.script) throw error;
      process.stderr.write(`${(error as Error).message}\n`);
    }
    if (!values.script) input.prompt();
  }
  socket.close(1000);
}

underNode(import.meta.filename);
main().catch((error: unknown) => {
  process.stderr.write(`ws-test: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
});
