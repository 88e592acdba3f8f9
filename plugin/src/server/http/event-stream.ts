/**
 * `GET /events` as Server-Sent Events (WHATWG HTML §9.2): the same journal for clients without WebSocket. `id:` is
 * the seq, so a client's own `Last-Event-ID` resumes exactly.
 *
 * The runtime (Bun 1.3.14, measured) queues whatever a stream writes, whether or not the client reads. A stream
 * therefore ends by itself after `streamBytes`; clients reconnect, as the standard has them do, and lose nothing. So
 * one that stopped reading costs that much memory and no more.
 */

import type { ActivityFilter } from "../../review/ledger/activity-rows.ts";
import { Watcher } from "../activity-feed.ts";
import type { Context } from "../context.ts";
import { type Delivery, Subscriber } from "../feed.ts";
import type { Identity } from "../tokens/tokens.ts";
import { SECURITY_HEADERS } from "./answers.ts";

/** What EventSource waits before it reconnects; a stream that ended for its length has more to tell at once. */
const RETRY_MS = 200;
const encoder = new TextEncoder();

export class EventStreams {
  readonly #context: Context;
  readonly #open = new Set<EventStream>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** The journal of the review. */
  open(request: Request, identity: Identity, since: number, project: string | undefined): Response {
    const { feed } = this.#context;
    return this.#answer(request, identity, (stream) => {
      const reader = new StreamSubscriber(stream);
      feed.add(reader, since, project);
      return () => feed.remove(reader);
    });
  }

  /** What the agent does. */
  watch(request: Request, identity: Identity, since: number, filter: ActivityFilter): Response {
    const { activity } = this.#context;
    return this.#answer(request, identity, (stream) => {
      const reader = new StreamWatcher(stream);
      activity.add(reader, since, filter);
      return () => activity.remove(reader);
    });
  }

  /** @param join begins to read, and returns what ends that */
  #answer(request: Request, identity: Identity, join: (stream: EventStream) => () => void): Response {
    const headers = { "Content-Type": "text/event-stream; charset=utf-8", ...SECURITY_HEADERS };
    // Nothing would ever read the body of an answer to HEAD, nor tell of its end.
    if (request.method === "HEAD") return new Response(null, { headers });
    const stream = new EventStream(this.#context, identity, () => this.#open.delete(stream));
    this.#open.add(stream);
    request.signal.addEventListener("abort", () => stream.end());
    return new Response(stream.body(join), { headers });
  }

  /** Ends streams whose token was rotated. */
  sweep(): void {
    const stillValid = this.#context.tokens.validity();
    for (const stream of this.#open) if (!stillValid(stream.identity)) stream.end();
  }

  closeAll(): void {
    for (const stream of this.#open) stream.end();
  }
}

class EventStream {
  readonly identity: Identity;
  readonly #context: Context;
  readonly #onEnd: () => void;
  #leave: () => void = () => {};
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #written = 0;
  #ended = false;

  constructor(context: Context, identity: Identity, onEnd: () => void) {
    this.#context = context;
    this.identity = identity;
    this.#onEnd = onEnd;
    this.#context.connections.countStream(this.identity.role, 1);
  }

  body(join: (stream: EventStream) => () => void): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        this.#write(`retry: ${RETRY_MS}\n\n`);
        const { heartbeatMs } = this.#context.limits;
        this.#heartbeat = setInterval(() => this.#write(": alive\n\n"), heartbeatMs);
        const leave = join(this);
        // What was there already may have been more than one stream carries.
        if (this.#ended) leave();
        else this.#leave = leave;
      },
      cancel: () => this.end(),
    });
  }

  deliver(text: string, id: number): Delivery {
    if (this.#ended) return "gone";
    this.#write(`id: ${id}\ndata: ${text}\n\n`);
    if (this.#written < this.#context.limits.streamBytes) return "taken";
    this.#context.metrics.closed("stream length");
    this.end();
    return "gone";
  }

  fail(error: unknown): void {
    this.#context.log.error("journal could not be read", { error });
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#heartbeat);
    this.#leave();
    this.#context.connections.countStream(this.identity.role, -1);
    this.#onEnd();
    try {
      this.#controller?.close();
    } catch {
      // The client closed it first.
    }
  }

  #write(text: string): void {
    const piece = encoder.encode(text);
    this.#written += piece.byteLength;
    try {
      this.#controller?.enqueue(piece);
    } catch {
      // The client left between two events.
      this.end();
    }
  }
}

class StreamSubscriber extends Subscriber {
  constructor(private readonly stream: EventStream) {
    super();
  }
  deliver(text: string, seq: number): Delivery {
    return this.stream.deliver(text, seq);
  }
  burst(deliveries: () => void): void {
    deliveries();
  }
  fail(error: unknown): void {
    this.stream.fail(error);
  }
}

class StreamWatcher extends Watcher {
  constructor(private readonly stream: EventStream) {
    super();
  }
  deliver(text: string, number: number): Delivery {
    return this.stream.deliver(text, number);
  }
  burst(deliveries: () => void): void {
    deliveries();
  }
  fail(error: unknown): void {
    this.stream.fail(error);
  }
}
