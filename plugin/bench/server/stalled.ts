/** One client of 100 stops reading: what the others notice. */
import { connect } from "node:net";
import type { Row } from "../../../scripts/bench/row.ts";
import { clock } from "./parts/clock.ts";
import { handshake } from "./parts/handshake.ts";
import { quantile, row } from "./parts/numbers.ts";
import { Place } from "./parts/place.ts";
import { frameLength, swarm } from "./parts/swarm-process.ts";

const PAYLOAD = 2048;
/** A p99 is then the thirtieth worst: fewer would measure the machine's hiccups. */
const ROUNDS = 3000;
const WARM_UP = 50;

interface Side {
  round(): Promise<number>;
  stop(): Promise<void>;
}

async function side(stalled: boolean): Promise<Side> {
  let told = 0;
  const at = await Place.open({
    limits: { stallMs: 1e9 },
    prepare: (desk) => {
      desk.subscribe(() => {
        told = clock();
      });
    },
  });
  const silent = stalled ? connect(at.port, "127.0.0.1") : null;
  silent?.write(handshake(at.port, at.developer));
  silent?.pause();
  await Bun.sleep(100);
  // More than the kernel holds for it, so that from here on it really stands still.
  for (let i = 0; i < 20; i++) at.emit("x".repeat(900_000));
  const length = at.emit("").seq && (at.journal().at(-1)?.length ?? 0);
  const clients = await swarm(at.port, at.developer, 99, frameLength(PAYLOAD));
  let n = 0;
  const first = at.desk.lastSeq();
  return {
    async round() {
      n += 1;
      const seq = first + n;
      at.emit("x".repeat(PAYLOAD - length + String(first).length - String(seq).length));
      return (await clients.complete(n)) - told;
    },
    async stop() {
      clients.stop();
      silent?.destroy();
      await at.stop();
    },
  };
}

export async function run(): Promise<Row[]> {
  const withStalled = await side(true);
  const without = await side(false);
  const times: { ours: number[]; floor: number[] } = { ours: [], floor: [] };
  for (let i = 0; i < WARM_UP; i++) await Promise.all([withStalled.round(), without.round()]);
  // In turn, and each as often first, so that what else the machine does falls on both.
  for (let i = 0; i < ROUNDS; i++) {
    const sides = [
      async () => void times.ours.push(await withStalled.round()),
      async () => void times.floor.push(await without.round()),
    ];
    if (i % 2 === 0) sides.reverse();
    for (const side of sides) await side();
  }
  await withStalled.stop();
  await without.stop();
  const name = "2 kB event to 99 reading clients beside a stalled one";
  return [
    row(
      `${name} (p99) / without it`,
      quantile(times.ours, 0.99),
      quantile(times.floor, 0.99),
      "<= 1.2",
      "ms",
    ),
    row(`${name} (p50) / without it`, quantile(times.ours, 0.5), quantile(times.floor, 0.5), "<= 1.2", "ms"),
  ];
}

if (import.meta.main) console.table(await run());
