/**
 * Inside a network without a way out: ports of its loopback, each of which leads to a Unix socket. Runs by itself, with
 * this folder's pipe alone: `forwarder.ts PORT=SOCKET …`. Says "ready" and its process id once all of them are open.
 */
import { connect, createServer } from "node:net";
import { join } from "./pipe.ts";

const pairs = process.argv.slice(2).map((pair) => {
  const at = pair.indexOf("=");
  return { port: Number(pair.slice(0, at)), path: pair.slice(at + 1) };
});

const listening = pairs.map(
  ({ port, path }) =>
    new Promise<void>((resolve, reject) => {
      const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
        const out = connect({ path, allowHalfOpen: true });
        join(client, out);
      });
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    }),
);

await Promise.all(listening);
process.stdout.write(`ready ${process.pid}\n`);
