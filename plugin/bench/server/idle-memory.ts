/** What a client that only waits costs the server, beside a bare Bun.serve. */
import { join } from "node:path";
import type { Row } from "../../../scripts/bench/row.ts";
import { quantile, row } from "./parts/numbers.ts";
import { swarm } from "./parts/swarm-process.ts";

const CLIENTS = 4000;

async function perClient(kind: "ours" | "bare"): Promise<number> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "parts/idle-server.ts"), kind], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  const line = async (): Promise<string> => new TextDecoder().decode((await reader.read()).value).trim();
  const resident = async (): Promise<number> => {
    child.stdin.write("\n");
    await child.stdin.flush();
    return Number(await line());
  };
  const { port, token } = JSON.parse(await line()) as { port: number; token: string };
  // The first clients pay for code and buffers that the next ones share.
  const first = await swarm(port, token, 2000, 1);
  const before = await resident();
  const rest = await swarm(port, token, CLIENTS, 1);
  const after = await resident();
  first.stop();
  rest.stop();
  child.kill();
  return (after - before) / CLIENTS / 1024;
}

export async function run(): Promise<Row[]> {
  const ours: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < 5; i++) {
    ours.push(await perClient("ours"));
    bare.push(await perClient("bare"));
  }
  const name = `memory of an idle client (of ${CLIENTS}) / bare Bun.serve`;
  return [row(name, quantile(ours, 0.5), quantile(bare, 0.5), "<= 2", "kB")];
}

if (import.meta.main) console.table(await run());
