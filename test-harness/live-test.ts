/**
 * Drives a live server (of `npm start` or any) through both doors at once: decides over REST and over the WebSocket
 * and checks that every event arrives on the socket, in order, without gap, and the same as in the journal.
 *
 *   bun test-harness/live-test.ts --token-file FILE [--url http://127.0.0.1:4097]
 *
 * Needs an open suggestion with a pending hunk; what it decides it undoes.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import WebSocket from "ws";
import { Checks, equal } from "./support/checks.ts";
import { underNode } from "./support/under-node.ts";

const USAGE = "usage: live-test --token-file FILE [--url URL]\n";

interface Message {
  type: string;
  seq?: number;
  id?: string;
  success?: boolean;
  [field: string]: unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: the answers of every endpoint
type Rest = (path: string, body?: unknown) => Promise<any>;

const asker =
  (url: string, headers: Record<string, string>): Rest =>
  async (path, body) => {
    const response = await fetch(`${url}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { ...headers, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return await response.json();
  };

/** The WebSocket, and everything that has come over it. */
class Live {
  readonly messages: Message[] = [];
  #next = 1;

  private constructor(private readonly socket: WebSocket) {
    socket.on("message", (data) => void this.messages.push(JSON.parse(data.toString()) as Message));
  }

  static async open(url: string, headers: Record<string, string>): Promise<Live> {
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/ws`, { headers });
    const live = new Live(socket);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return live;
  }

  async arrives(what: string, look: (message: Message) => boolean): Promise<Message> {
    for (const until = Date.now() + 10_000; Date.now() < until; ) {
      const found = this.messages.find(look);
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`${what} did not arrive`);
  }

  async command(body: Record<string, unknown>): Promise<Message> {
    const id = `live-${this.#next++}`;
    this.socket.send(JSON.stringify({ ...body, id }));
    return this.arrives(
      `the answer to ${body.type}`,
      (message) => message.type === "response" && message.id === id,
    );
  }

  end(): void {
    this.socket.terminate();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      "token-file": { type: "string" },
      url: { type: "string", default: "http://127.0.0.1:4097" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  if (values["token-file"] === undefined) throw new Error(`--token-file is needed\n${USAGE}`);
  const headers = { Authorization: `Bearer ${readFileSync(values["token-file"], "utf8").trim()}` };
  const rest = asker(values.url, headers);
  const live = await Live.open(values.url, headers);
  const checks = new Checks();
  const [suggestion] = (await rest("/suggestions")).suggestions;
  if (suggestion === undefined) throw new Error("no open suggestion to try on");
  const [hunk] = (await rest(`/suggestions/${suggestion.id}/hunks?state=pending&limit=1`)).hunks;
  if (hunk === undefined) throw new Error("no pending hunk to try on");
  const since: number = (await rest("/events?since=0&limit=1")).last_seq;
  await readBoth(checks, rest, live, since);
  await decideBoth(checks, rest, live, { suggestion_id: suggestion.id, hunk }, since);
  await compareJournal(checks, rest, live, since);
  live.end();
  checks.end();
}

async function readBoth(checks: Checks, rest: Rest, live: Live, since: number): Promise<void> {
  await checks.check("subscribe replays everything from the beginning", async () => {
    equal((await live.command({ type: "subscribe", since: 0 })).success, true);
    await live.arrives(`event ${since}`, ({ seq }) => seq === since);
  });
  await checks.check("list over the socket is the list over REST", async () => {
    const { data } = (await live.command({ type: "list" })) as { data?: { suggestions?: { id: string }[] } };
    equal(
      data?.suggestions?.map(({ id }) => id),
      (await rest("/suggestions")).suggestions.map(({ id }: { id: string }) => id),
    );
  });
}

async function decideBoth(
  checks: Checks,
  rest: Rest,
  live: Live,
  { suggestion_id, hunk }: { suggestion_id: string; hunk: { id: string; digest: string } },
  since: number,
): Promise<void> {
  const target = { suggestion_id, hunk_id: hunk.id };
  let seen = since;
  /** The event that a request caused; what the request answered is the last of those it caused. */
  const event = async (type: string, last: number): Promise<Message> => {
    const found = await live.arrives(
      type,
      ({ type: name, hunk_id, seq = 0 }) => name === type && hunk_id === hunk.id && seq > seen && seq <= last,
    );
    await live.arrives(`event ${last}`, ({ seq }) => seq === last);
    seen = last;
    return found;
  };
  await checks.check("a decision over REST is an event on the socket", async () => {
    const { seq } = await rest("/feedback", { ...target, action: "accept", digest: hunk.digest });
    equal((await event("suggestion.hunk_applied", seq)).action, "accepted");
  });
  await checks.check("an undo over REST as well", async () => {
    await event("suggestion.hunk_reset", (await rest("/undo", target)).seq);
  });
  await checks.check("a decision over the socket is answered and told", async () => {
    const answer = await live.command({
      type: "feedback",
      suggestionId: suggestion_id,
      hunkId: hunk.id,
      action: "reject",
      comment: "live-test",
    });
    equal(answer.success, true);
    const { seq } = answer.data as { seq: number };
    equal((await event("suggestion.hunk_applied", seq)).comment, "live-test");
  });
  await checks.check("an undo over the socket as well", async () => {
    const answer = await live.command({ type: "undo", request: target });
    await event("suggestion.hunk_reset", (answer.data as { seq: number }).seq);
  });
}

async function compareJournal(checks: Checks, rest: Rest, live: Live, since: number): Promise<void> {
  await checks.check("a refusal has the code that REST has", async () => {
    const answer = await live.command({ type: "get", suggestionId: "unknown" });
    equal([answer.success, answer.code], [false, "not_found"]);
  });
  await checks.check("the socket's events are numbered without gap and are the journal's", async () => {
    const numbered = live.messages.filter(({ seq }) => typeof seq === "number");
    equal(
      numbered.map(({ seq }) => seq),
      numbered.map((_, index) => index + 1),
      "sequence",
    );
    const journal = (await rest(`/events?since=${since}&limit=1000`)).events as Message[];
    equal(numbered.slice(since), journal.slice(0, numbered.length - since), "events");
  });
}

underNode(import.meta.filename);
main().catch((error: unknown) => {
  process.stderr.write(`live-test: ${error instanceof Error ? error.message : error}\n`);
  process.exit(1);
});
