/**
 * `GET /events` as Server-Sent Events (WHATWG HTML §9.2): the same journal for clients without WebSocket. `id:` is
 * the seq, so a browser-like client's own `Last-Event-ID` resumes exactly.
 */
import { SECURITY_HEADERS } from "./answers.ts";
import type { Context } from "./context.ts";
import type { Sink, Subscription } from "./feed.ts";
import type { Identity } from "./tokens.ts";

/** Bytes that may wait for one reader; an event over it still goes out whole. */
const QUEUE_BYTES = 64 * 1024;
const encoder = new TextEncoder();

export class EventStreams {
  readonly #context: Context;
  readonly #open = new Map<() => void, Identity>();

  constructor(context: Context) {
    this.#context = context;
  }

  open(request: Request, identity: Identity, since: number | undefined, project?: string): Response {
    const { feed, connections, limits } = this.#context;
    let subscription: Subscription | null = null;
    let heartbeat: ReturnType<typeof setInterval> | undefined;
    let controller: ReadableStreamDefaultController<Uint8Array>;
    let ended = false;

    const end = (): void => {
      if (ended) return;
      ended = true;
      clearInterval(heartbeat);
      this.#open.delete(end);
      if (subscription !== null) feed.remove(subscription);
      connections.streams -= 1;
      if (identity.role === "agent") connections.agents -= 1;
      try {
        controller.close();
      } catch {
        // The client closed it first.
      }
    };
    const write = (text: string): void => controller.enqueue(encoder.encode(text));
    const sink: Sink = {
      deliver(text, seq) {
        if (ended) return "gone";
        write(`id: ${seq}\ndata: ${text}\n\n`);
        return (controller.desiredSize ?? 0) > 0 ? "taken" : "full";
      },
      burst: (deliveries) => deliveries(),
      fail: (error) => {
        this.#context.log.error("journal could not be read", { error });
        end();
      },
    };

    connections.streams += 1;
    if (identity.role === "agent") connections.agents += 1;
    this.#open.set(end, identity);
    request.signal.addEventListener("abort", end);
    const stream = new ReadableStream<Uint8Array>(
      {
        start(started) {
          controller = started;
          write(`: events of suggestion-manager\nretry: 1000\n\n`);
          subscription = feed.add(sink, since, project);
          heartbeat = setInterval(() => {
            if ((controller.desiredSize ?? 0) > 0) write(": alive\n\n");
          }, limits.heartbeatMs);
        },
        pull() {
          if (subscription !== null) feed.resume(subscription);
        },
        cancel: end,
      },
      new ByteLengthQueuingStrategy({ highWaterMark: QUEUE_BYTES }),
    );
    return new Response(stream, {
      headers: { "Content-Type": "text/event-stream; charset=utf-8", ...SECURITY_HEADERS },
    });
  }

  /** Ends streams whose token was rotated. */
  sweep(): void {
    for (const [end, identity] of [...this.#open]) {
      if (!this.#context.tokens.stillValid(identity)) end();
    }
  }

  closeAll(): void {
    for (const end of [...this.#open.keys()]) end();
  }
}
