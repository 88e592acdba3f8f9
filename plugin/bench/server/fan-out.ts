/** A 2 kB event to 1, 100 and 1,000 clients: from the moment it is durable until the last client has it. */

import type { Row } from "../../../scripts/bench/row.ts";
import { bareServer } from "./parts/bare.ts";
import { clock } from "./parts/clock.ts";
import { quantile, row } from "./parts/numbers.ts";
import { Place } from "./parts/place.ts";
import { frameLength, swarm } from "./parts/swarm-process.ts";

const PAYLOAD = 2048;

/** @param warmUp rounds that are not counted: the fewer clients, the more of them the compiler needs on either side */
async function measured(clients: number, warmUp: number, rounds: number): Promise<Row> {
  let told = 0;
  const at = await Place.open({
    limits: { maxSockets: 2000 },
    // Before the server's own listener: the clock starts when the event is durable, and includes all it does.
    prepare: (desk) => {
      desk.subscribe(() => {
        told = clock();
      });
    },
  });
  // Every event has the same length: it is padded to what the journal makes of the highest number.
  const length = JSON.stringify({
    ...at.desk.ledger.emit("/bench", { type: "suggestion.status", status: "working", message: "" }),
    seq: 10_000,
  }).length;
  const bare = bareServer();
  const untold = await Place.open();
  const ours = await swarm(at.port, at.developer, clients, frameLength(PAYLOAD));
  const floor = await swarm(bare.port, "none", clients, frameLength(PAYLOAD));
  const text = "x".repeat(PAYLOAD);
  const times: { ours: number[]; floor: number[] } = { ours: [], floor: [] };
  const emit = async (round: number): Promise<number> => {
    const padding = PAYLOAD - length + String(10_000).length - String(round + 1).length;
    const { seq } = at.emit("x".repeat(padding + "/bench".length - "/project".length));
    const took = (await ours.complete(round)) - told;
    const bytes = at.journal(seq - 1)[0]?.length;
    if (bytes !== PAYLOAD) throw new Error(`an event of ${bytes} bytes instead of ${PAYLOAD}`);
    return took;
  };
  // The floor's moment too comes right after a write into a ledger, of which nobody is told: what the caches have
  // forgotten over that is no cost of handing an event out.
  const broadcast = async (round: number): Promise<number> => {
    untold.emit("x".repeat(PAYLOAD - length));
    const from = clock();
    bare.broadcast(text);
    return (await floor.complete(round)) - from;
  };
  for (let round = 1; round <= warmUp + rounds; round++) {
    // In turn, and each as often first, so that what else the machine does falls on both.
    const sides = [
      async () => void times.ours.push(await emit(round)),
      async () => void times.floor.push(await broadcast(round)),
    ];
    if (round % 2 === 0) sides.reverse();
    for (const side of sides) await side();
  }
  for (const list of [times.ours, times.floor]) list.splice(0, warmUp);
  ours.stop();
  floor.stop();
  bare.stop();
  await at.stop();
  await untold.stop();
  return row(
    `2 kB event to ${clients} client${clients === 1 ? "" : "s"}, last one has it (p50) / bare Bun.serve loop`,
    quantile(times.ours, 0.5),
    quantile(times.floor, 0.5),
    "<= 1.5",
    "ms",
  );
}

export async function run(): Promise<Row[]> {
  return [await measured(1, 1500, 3000), await measured(100, 100, 400), await measured(1000, 30, 100)];
}

if (import.meta.main) console.table(await run());
