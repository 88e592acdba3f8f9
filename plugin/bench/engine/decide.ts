/** Deciding over the socket, durable, on a big and a small suggestion, beside the floor: one jj process. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../../../scripts/bench/row.ts";
import { loadConfig } from "../../src/config.ts";
import { type Host, startHost } from "../../src/process.ts";
import { benchPlace, interleaved, row, spawned, timed, writeFiles } from "./place.ts";

const ROUNDS = 60;
const PAUSE_MS = 700;

/** A client on a thread of its own, as an editor is: what it does with events takes no time of the server's. */
class Client {
  readonly #worker = new Worker(new URL("./parts/client.ts", import.meta.url).href);

  static async open(host: Host): Promise<Client> {
    const client = new Client();
    const token = (await Bun.file(host.tokenFile).text()).trim();
    await client.#ask({ url: `${host.url.replace("http", "ws")}/ws`, token });
    return client;
  }

  decide(suggestionId: string, hunkId: string, action: string): Promise<number> {
    return this.#ask({ type: "feedback", suggestionId, hunkId, action });
  }

  decideMany(suggestion_id: string, decisions: { hunk_id: string; action: string }[]): Promise<number> {
    return this.#ask({ type: "batch", request: { suggestion_id, decisions } });
  }

  /** @returns milliseconds from sending the command to having its answer */
  #ask(task: object): Promise<number> {
    return new Promise((done, fail) => {
      this.#worker.onmessage = ({ data }: MessageEvent<{ took?: number; failed?: string }>) => {
        if (data.took === undefined) fail(new Error(data.failed));
        else done(data.took);
      };
      this.#worker.postMessage(task);
    });
  }

  close(): void {
    this.#worker.terminate();
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
    const page = Array.from({ length: 2 }, (_, at) =>
      desk.hunks(big, { limit: 500, offset: at * 500 }).hunks.map((hunk) => hunk.id),
    ).flat();
    // A person's decisions come apart: what follows one (its line in the log, say) is over before the next.
    const batches = await interleaved(
      21,
      async (round) => {
        const decisions = page.map((hunk_id) => ({ hunk_id, action: actions[round % 2] as string }));
        await Bun.sleep(PAUSE_MS);
        return client.decideMany(big, decisions);
      },
      async (round) => {
        await Bun.sleep(PAUSE_MS);
        return one(round);
      },
    );
    client.close();
    return [
      row("decide 1 of 3,000 hunks over the socket, durable / one jj log process", againstJj, "<= 1.0"),
      row("decide 1 of 3,000 hunks / 1 of 3 hunks", againstSmall, "<= 1.2"),
      row("decide 1,000 hunks as one batch / one hunk, both over the socket", batches, "<= 10"),
    ];
  } finally {
    await host.stop();
    place.close();
  }
}
