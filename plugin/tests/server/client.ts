/** A WebSocket client for tests: commands with answers, events in the order and bytes they came in. */
import type { Place } from "./place.ts";

// biome-ignore lint/suspicious/noExplicitAny: a test asserts on it, whatever its shape
export type Message = Record<string, any>;

export interface Client {
  socket: WebSocket;
  /** Texts of the events received, byte for byte. */
  events: string[];
  /** Sends a command and waits for its answer. */
  command(command: Message): Promise<Message>;
  closed: Promise<{ code: number; reason: string }>;
  close(): void;
}

let nextId = 0;

/** @param at where the server is, and the token that is used when none is named */
export function connect(at: Pick<Place, "port" | "developer">, token = at.developer): Promise<Client> {
  const socket = new WebSocket(`ws://127.0.0.1:${at.port}/ws`, {
    headers: { Authorization: `Bearer ${token}` },
  } as unknown as string[]);
  const events: string[] = [];
  const waiting = new Map<unknown, (message: Message) => void>();
  socket.onmessage = ({ data }) => {
    const text = String(data);
    const message = JSON.parse(text) as Message;
    if (message.type !== "response") {
      events.push(text);
      return;
    }
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  };
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.onclose = ({ code, reason }) => resolve({ code, reason });
  });
  const client: Client = {
    socket,
    events,
    closed,
    close: () => socket.close(),
    command(command) {
      const id = command.id ?? `c${++nextId}`;
      return new Promise((resolve, reject) => {
        waiting.set(id, resolve);
        void closed.then(({ code }) => reject(new Error(`closed with ${code}`)));
        socket.send(JSON.stringify({ ...command, id }));
      });
    },
  };
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(client);
    socket.onerror = () => reject(new Error("the socket did not open"));
  });
}
