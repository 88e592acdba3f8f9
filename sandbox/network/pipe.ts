/** Two connections as one: bytes go both ways, at the pace of the slower one, and an end is passed on as an end. */
import type { Socket } from "node:net";

export function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.pipe(to);
    from.on("error", () => to.destroy());
    from.on("close", (hadError) => {
      // Cut off, not ended: the other side is told in the same way. Ended: nobody is left to read what it still sends.
      if (hadError || !from.readableEnded || to.writableFinished) to.destroy();
      else to.once("finish", () => to.destroy()).end();
    });
  }
}
