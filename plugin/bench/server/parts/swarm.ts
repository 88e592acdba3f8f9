/**
 * A process of many WebSocket clients that only count: `swarm.ts PORT TOKEN COUNT FRAME_BYTES`. Prints `ready` once all
 * are open, then a line each time every one of
 * them has received a further frame: its number and the moment (milliseconds). Written on bare TCP, so that what is
 * measured is the server.
 */

import { clock } from "./clock.ts";
import { handshake } from "./handshake.ts";

const [port = 0, token = "", count = 0, frameBytes = 0] = process.argv
  .slice(2)
  .map((value, index) => (index === 1 ? value : Number(value))) as [number, string, number, number];

const received = new Float64Array(count);
let complete = 0;
/** How many clients have not yet got the frame that is being waited for. */
let missing = count;
let opened = 0;

function got(index: number, bytes: number): void {
  const before = received[index] ?? 0;
  received[index] = before + bytes;
  const goal = (complete + 1) * frameBytes;
  if (before >= goal || before + bytes < goal) return;
  missing -= 1;
  while (missing === 0) {
    complete += 1;
    process.stdout.write(`${complete} ${clock()}\n`);
    const next = (complete + 1) * frameBytes;
    missing = received.filter((bytes) => bytes < next).length;
  }
}

for (let index = 0; index < count; index++) {
  let open = false;
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(handshake(port, token)),
      data(_socket, data) {
        if (open) return got(index, data.byteLength);
        const end = data.indexOf("\r\n\r\n");
        if (end < 0) throw new Error("no whole handshake");
        open = true;
        opened += 1;
        if (opened === count) process.stdout.write("ready\n");
        if (data.byteLength > end + 4) got(index, data.byteLength - end - 4);
      },
      close: () => process.exit(1),
    },
  });
}
