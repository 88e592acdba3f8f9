/**
 * Inside a network without a way out: ports of its loopback, each of which leads to a Unix socket. Runs by itself, with
 * connection.ts beside it: `forwarder.ts PORT=SOCKET …`. Says "ready" and its process id once all of them are open.
 */
import { dial, listen } from "./connection.ts";

const MOST = 512;
const CONNECT_MS = 20_000;

for (const pair of process.argv.slice(2)) {
  const at = pair.indexOf("=");
  const unix = pair.slice(at + 1);
  listen(
    { port: Number(pair.slice(0, at)) },
    async (client) => {
      const out = await dial({ unix }, CONNECT_MS);
      if (typeof out === "string") client.destroy();
      else client.join(out);
    },
    MOST,
  );
}
process.stdout.write(`ready ${process.pid}\n`);
