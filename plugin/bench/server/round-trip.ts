/** `list` of 20 suggestions over the socket, from the real ledger, beside a bare echo of the same bytes. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentRepository, Place } from "../../tests/server/place.ts";
import type { Row } from "../row.ts";
import { bareServer } from "./parts/bare.ts";
import { quantile, row } from "./parts/numbers.ts";

const ROUNDS = 2000;
const WARM_UP = 300;

async function opened(port: number, token: string): Promise<(text: string) => Promise<string>> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, {
    headers: { Authorization: `Bearer ${token}` },
  } as unknown as string[]);
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  let answered: (text: string) => void = () => {};
  socket.onmessage = ({ data }) => answered(String(data));
  return (text) =>
    new Promise((resolve) => {
      answered = resolve;
      socket.send(text);
    });
}

export async function run(): Promise<Row[]> {
  const at = await Place.open({ limits: { requestBurst: 1e9 } });
  const repository = await AgentRepository.add(at);
  for (let i = 0; i < 20; i++) {
    writeFileSync(join(repository.dir, `file-${i}.txt`), `${i}\n`);
    await repository.publishAsItIs(`Suggestion ${i}: what it is about, in a sentence of usual length`);
  }
  const bare = bareServer();
  const ask = await opened(at.port, at.developer);
  const echo = await opened(bare.port, "none");
  const command = JSON.stringify({ type: "list", id: 1 });
  const bytes = await ask(command);
  const times: { ours: number[]; floor: number[] } = { ours: [], floor: [] };
  for (let round = 0; round < ROUNDS + WARM_UP; round++) {
    const from = performance.now();
    await ask(command);
    const between = performance.now();
    await echo(bytes);
    if (round < WARM_UP) continue;
    times.ours.push(between - from);
    times.floor.push(performance.now() - between);
  }
  bare.stop();
  await at.stop();
  return [
    row(
      `list of 20 suggestions (${bytes.length} bytes) round trip p50 / bare echo of the same bytes`,
      quantile(times.ours, 0.5),
      quantile(times.floor, 0.5),
      "<= 3",
      "ms",
    ),
  ];
}

if (import.meta.main) console.table(await run());
