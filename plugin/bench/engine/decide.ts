/** Deciding over the socket, durable, on a big and a small suggestion, beside the floor: one jj process. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { type Host, startHost } from "../../src/host.ts";
import type { Row } from "../row.ts";
import { benchPlace, interleaved, median, row, spawned, timed, writeFiles } from "./place.ts";

const ROUNDS = 60;

/** A client that waits for the answer to each command. */
class Client {
  #next = 0;
  readonly #waiting = new Map<string, (ok: boolean) => void>();
  private constructor(private readonly socket: WebSocket) {
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(String(data)) as {
        type: string;
        id?: string;
        ok?: boolean;
        error?: { message: string };
      };
      if (message.id === undefined) return;
      const resolve = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      resolve?.(message.error === undefined && message.ok !== false);
    });
  }

  static async open(host: Host): Promise<Client> {
    const token = (await Bun.file(host.tokenFile).text()).trim();
    const socket = new WebSocket(`${host.url.replace("http", "ws")}/ws`, {
      headers: { authorization: `Bearer ${token}` },
    } as never);
    await new Promise((done, fail) => {
      socket.addEventListener("open", done, { once: true });
      socket.addEventListener("error", fail, { once: true });
    });
    return new Client(socket);
  }

  decide(suggestionId: string, hunkId: string, action: string): Promise<number> {
    const id = `b${this.#next++}`;
    return timed(async () => {
      const ok = await new Promise<boolean>((done) => {
        this.#waiting.set(id, done);
        this.socket.send(JSON.stringify({ type: "feedback", id, suggestionId, hunkId, action }));
      });
      if (!ok) throw new Error("the decision was refused");
    });
  }

  close(): void {
    this.socket.close();
  }
}

export async function run(): Promise<Row[]> {
  const place = await benchPlace();
  const state = join(place.root, "served");
  mkdirSync(state);
  const host = await startHost(
    loadConfig({ state_dir: state, feedback_log: join(place.root, "f.jsonl"), port: 0, log_level: "silent" }),
  );
  try {
    const { desk } = host;
    await desk.addProject(place.dir);
    writeFiles(place.dir, 60, 50, 10, 0);
    place.jj("commit", "-m", "base");
    place.jj("bookmark", "set", "main", "-r", "@-");
    writeFiles(place.dir, 60, 50, 10, 1);
    const big = (await desk.publish({ description: "Big", project: place.dir }, "agent")).suggestion_id;
    place.jj("new", "main");
    writeFileSync(join(place.dir, "small.txt"), "small\n");
    writeFileSync(join(place.dir, "small2.txt"), "small\n");
    writeFileSync(join(place.dir, "small3.txt"), "small\n");
    const small = (await desk.publish({ description: "Small", project: place.dir }, "agent")).suggestion_id;
    const ids = (suggestion: string, limit: number) =>
      desk.hunks(suggestion, { limit, offset: 0 }).hunks.map((hunk) => hunk.id);
    const [bigIds, smallIds] = [ids(big, 500), ids(small, 3)];
    const client = await Client.open(host);
    const actions = ["accept", "reject"];
    const one = (round: number) =>
      client.decide(big, bigIds[(round * 7) % bigIds.length] as string, actions[round % 2] as string);
    const few = (round: number) =>
      client.decide(small, smallIds[round % 3] as string, actions[(round >> 1) % 2] as string);
    for (let warm = 0; warm < 10; warm++) {
      await one(warm);
      await few(warm);
    }
    const againstJj = await interleaved(ROUNDS, one, () =>
      timed(() => spawned(["jj", "log", "-r", "@", "--ignore-working-copy"], place.dir)),
    );
    const againstSmall = await interleaved(ROUNDS * 5, one, few);
    client.close();
    const batches: number[] = [];
    const single: number[] = [];
    const page = Array.from({ length: 2 }, (_, at) =>
      desk.hunks(big, { limit: 500, offset: at * 500 }).hunks.map((hunk) => hunk.id),
    ).flat();
    for (let round = 0; round < 7; round++) {
      const action = round % 2 === 0 ? ("accept" as const) : ("reject" as const);
      batches.push(
        await timed(() =>
          desk.decideMany(
            { suggestion_id: big, decisions: page.map((hunk_id) => ({ hunk_id, action })) },
            "developer",
          ),
        ),
      );
      for (let more = 0; more < 5; more++) {
        single.push(
          await timed(() =>
            desk.decide({ suggestion_id: big, hunk_id: page[more] as string, action }, "developer"),
          ),
        );
      }
    }
    return [
      row("decide 1 of 3,000 hunks over the socket, durable / one jj log process", againstJj, "<= 1.0"),
      row("decide 1 of 3,000 hunks / 1 of 3 hunks", againstSmall, "<= 1.2"),
      row(
        "decide 1,000 hunks as one batch / one hunk",
        { ours: median(batches), against: median(single) },
        "<= 10",
      ),
    ];
  } finally {
    await host.stop();
    place.close();
  }
}
