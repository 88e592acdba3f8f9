/** Starts `swarm.ts` and tells when all its clients have a frame. */
import { join } from "node:path";

export interface Swarm {
  /** The moment by `clock()` at which every client had its `n`th frame (1-based, asked for in order). */
  complete(n: number): Promise<number>;
  stop(): void;
}

export async function swarm(port: number, token: string, count: number, frameBytes: number): Promise<Swarm> {
  const child = Bun.spawn(
    [
      process.execPath,
      join(import.meta.dir, "swarm.ts"),
      String(port),
      token,
      String(count),
      String(frameBytes),
    ],
    { stdout: "pipe", stderr: "inherit" },
  );
  const arrived = new Map<number, number>();
  const waiting = new Map<number, (moment: number) => void>();
  void (async () => {
    let rest = "";
    for await (const chunk of child.stdout) {
      const lines = (rest + new TextDecoder().decode(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [number = 0, moment = 0] = line === "ready" ? [0, 0] : line.split(" ").map(Number);
        const resolve = waiting.get(number);
        if (resolve === undefined) arrived.set(number, moment);
        else resolve(moment);
      }
    }
  })();
  const complete = (n: number): Promise<number> => {
    const moment = arrived.get(n);
    if (moment !== undefined) return Promise.resolve(moment);
    return new Promise((resolve) => waiting.set(n, resolve));
  };
  await complete(0);
  return { complete, stop: () => child.kill() };
}

/** Bytes of an unmasked text frame with this payload (RFC 6455 §5.2). */
export function frameLength(payload: number): number {
  return payload + (payload < 126 ? 2 : payload < 65_536 ? 4 : 10);
}
