/**
 * The network's own process, outside of every ring: the proxy's doors and the model's gateway. It is told what to do in one
 * line of JSON on its standard input, so that no secret stands in its arguments or environment; it ends when that ends. Its
 * sockets are made in the folder that it is started in.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, rmSync } from "node:fs";
import { RefusalLog } from "../refusals.ts";
import { type Route, startGateway } from "./gateway.ts";
import { GIVEN } from "./given.ts";
import { rulesFor } from "./list.ts";
import { type Door, startProxy } from "./proxy.ts";
import { GATEWAY_SOCKET, SOCKETS } from "./sockets.ts";

export interface NetworkConfig {
  /** See {@link rulesFor}. */
  rules: string;
  defaults: string;
  refusals: string;
  /** Group that may use the sockets, beside whoever runs this; null for nobody. */
  group: number | null;
  /** Port of loopback that the gateway has beside its socket, for an opencode in no ring; null for none. */
  gateway: number | null;
  routes: readonly Route[];
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
  process.umask(0o077);
  const log = new RefusalLog(config.refusals, randomBytes(6).toString("hex"));
  setInterval(() => log.flush(), FLUSH_MS);
  for (const [door, path] of Object.entries(SOCKETS) as [Door, string][]) {
    for (const socket of [path, path + GIVEN]) rmSync(socket, { force: true });
    startProxy(
      { unix: path },
      {
        door,
        rules: () => rulesFor(door, config),
        refused: (refusal) => log.add({ door, ...refusal }),
      },
    );
    for (const socket of [path, path + GIVEN]) if (existsSync(socket)) openTo(config.group, socket);
  }
  rmSync(GATEWAY_SOCKET, { force: true });
  startGateway(config.routes, { unix: GATEWAY_SOCKET });
  openTo(config.group, GATEWAY_SOCKET);
  if (config.gateway !== null) startGateway(config.routes, { port: config.gateway });
  process.stdout.write("ready\n");
  while ((await input.next()).done !== true);
  log.flush(true);
}

function openTo(group: number | null, path: string): void {
  if (group === null) return;
  chownSync(path, process.getuid?.() ?? 0, group);
  chmodSync(path, 0o660);
}

await main();
process.exit(0);
