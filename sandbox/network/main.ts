/**
 * The network's own process, outside of every ring: the proxy's doors and the model's gateway. It is told what to do in one
 * line of JSON on its standard input, so that no secret stands in its arguments or environment; it ends when that ends. Its
 * sockets are made in the folder that it is started in.
 */
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { RefusalLog } from "../refusals.ts";
import { type Route, startGateway } from "./gateway.ts";
import { rulesFor } from "./list.ts";
import { createProxy, type Door } from "./proxy.ts";
import { GATEWAY_SOCKET, SOCKETS } from "./sockets.ts";

export interface NetworkConfig {
  /** See {@link rulesFor}. */
  rules: string;
  defaults: string;
  refusals: string;
  routes: readonly Route[];
}

/** What it says once everything is open. */
export interface NetworkReady {
  /** Port of the gateway on loopback. */
  gateway: number;
}

const FLUSH_MS = 1000;

async function main(): Promise<void> {
  const input = process.stdin[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await input.next();
    if (done === true) return;
    text += value.toString("utf8");
  }
  const config = JSON.parse(text) as NetworkConfig;
  // The group is the agent's where it is another user: the folder gives it.
  process.umask(0o007);
  const log = new RefusalLog(config.refusals, randomBytes(6).toString("hex"));
  setInterval(() => log.flush(), FLUSH_MS);
  for (const [door, path] of Object.entries(SOCKETS) as [Door, string][]) {
    rmSync(path, { force: true });
    const proxy = createProxy({
      door,
      rules: () => rulesFor(door, config),
      refused: (refusal) => log.add({ door, ...refusal }),
    });
    await new Promise<void>((resolve, reject) => proxy.once("error", reject).listen(path, resolve));
  }
  rmSync(GATEWAY_SOCKET, { force: true });
  startGateway(config.routes, { unix: GATEWAY_SOCKET });
  const { port = 0 } = startGateway(config.routes, { port: 0 });
  process.stdout.write(`${JSON.stringify({ gateway: port } satisfies NetworkReady)}\n`);
  while ((await input.next()).done !== true);
  log.flush(true);
}

await main();
process.exit(0);
