/**
 * `list` of 20 suggestions over the socket, from the real ledger, beside a bare echo of the same bytes: as clients mostly
 * ask, while the agent says what it does and nothing is decided, and, for comparison, right after a decision, when
 * the page has to be made anew.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../../../scripts/bench/row.ts";
import { bareServer } from "./parts/bare.ts";
import { quantile, row } from "./parts/numbers.ts";
import { Place } from "./parts/place.ts";

const WARM_UP = 300;

/** Sends a text and gives the next message that is no event. */
type Exchange = (text: string) => Promise<string>;

async function opened(port: number, token: string): Promise<Exchange> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, {
    headers: { Authorization: `Bearer ${token}` },
  } as unknown as string[]);
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  let answered: (text: string) => void = () => {};
  socket.onmessage = ({ data }) => {
    if (String(data).startsWith('{"type":"response"')) answered(String(data));
  };
  return (text) =>
    new Promise((resolve) => {
      answered = resolve;
      socket.send(text);
    });
}

/** @param prepare what happens before each question, outside the time that is measured */
async function measured(
  [ask, echo]: [Exchange, Exchange],
  what: string,
  goal: string,
  rounds: number,
  prepare: () => Promise<unknown>,
): Promise<Row> {
  const command = JSON.stringify({ type: "list", id: 1 });
  const bytes = await ask(command);
  const times: { ours: number[]; floor: number[] } = { ours: [], floor: [] };
  const timed = async (into: number[], exchange: Exchange, text: string): Promise<void> => {
    const from = performance.now();
    const answer = await exchange(text);
    into.push(performance.now() - from);
    // A decided suggestion is "complete" rather than "pending": a letter more.
    if (Math.abs(answer.length - bytes.length) > 1) throw new Error("not the same bytes");
  };
  for (let round = 0; round < rounds + WARM_UP; round++) {
    await prepare();
    // In turn, and each as often first, so that what else the machine does falls on both.
    const sides = [() => timed(times.ours, ask, command), () => timed(times.floor, echo, bytes)];
    if (round % 2 === 0) sides.reverse();
    for (const side of sides) await side();
  }
  for (const list of [times.ours, times.floor]) list.splice(0, WARM_UP);
  return row(
    `list of 20 suggestions (${bytes.length} bytes)${what}, round trip p50 / bare echo of the same bytes`,
    quantile(times.ours, 0.5),
    quantile(times.floor, 0.5),
    goal,
    "ms",
  );
}

export async function run(): Promise<Row[]> {
  const at = await Place.open({ limits: { requestBurst: 1e9 } });
  const dir = await at.addRepository();
  let last = "";
  for (let i = 0; i < 20; i++) {
    writeFileSync(join(dir, `file-${i}.txt`), `${i}\n`);
    const description = `Suggestion ${i}: what it is about, in a sentence of usual length`;
    last = (await at.desk.publish({ description, project: dir }, "agent")).suggestion_id;
  }
  const bare = bareServer();
  const ask = await opened(at.port, at.developer);
  const echo = await opened(bare.port, "none");
  const sides: [Exchange, Exchange] = [ask, echo];
  const [hunk] = at.desk.hunks(last, { limit: 1, offset: 0 }).hunks;
  let decided = false;
  const decide = async (): Promise<void> => {
    const request = { suggestion_id: last, hunk_id: hunk?.id ?? "" };
    if (decided) at.desk.undo({ suggestion_id: last }, "developer");
    else at.desk.decide({ ...request, action: "accept" }, "developer");
    decided = !decided;
    await ask('{"type":"ping"}');
  };
  const say = async (): Promise<void> => {
    at.emit("what the agent does");
    await ask('{"type":"ping"}');
  };
  const rows = [
    await measured(sides, "", "<= 3", 2000, async () => {}),
    await measured(sides, ", after each of the agent's status messages", "<= 3", 1000, say),
    await measured(sides, ", after each decision", "no goal", 500, decide),
  ];
  bare.stop();
  await at.stop();
  return rows;
}

if (import.meta.main) console.table(await run());
