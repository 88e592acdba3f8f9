/**
 * Inside a network without a way out: what listens there leads to where it says. Runs by itself, with connection.ts beside
 * it and what that needs: `forwarder.ts FROM=TO …`, each a port of loopback or the path of a Unix socket. Says "ready" and its process id once
 * all of them are open.
 */
import { rmSync } from "node:fs";
import { adopt, Connection, dial, listen } from "./connection.ts";
import { give, takesGiven } from "./given.ts";
import { pump } from "./pump.ts";

const MOST = 512;
const CONNECT_MS = 20_000;

const isPort = (end: string) => /^\d+$/.test(end);

for (const pair of process.argv.slice(2)) {
  const at = pair.indexOf("=");
  const [from, to] = [pair.slice(0, at), pair.slice(at + 1)];
  // One that ended without a word has left its name behind.
  if (!isPort(from)) rmSync(from, { force: true });
  listen(
    isPort(from) ? { port: Number(from) } : { unix: from },
    async (caller) => {
      let client = caller;
      const descriptor = isPort(from) && !isPort(to) && takesGiven(to) ? client.release() : null;
      if (descriptor !== null) {
        if (give(to, descriptor)) return;
        client = new Connection();
        if (!(await adopt(client, descriptor))) return;
      }
      const where = isPort(to) ? { hostname: "127.0.0.1", port: Number(to) } : { unix: to };
      const out = await dial(where, CONNECT_MS);
      if (typeof out === "string") client.destroy();
      else client.join(out, pump());
    },
    MOST,
  );
}
process.stdout.write(`ready ${process.pid}\n`);
