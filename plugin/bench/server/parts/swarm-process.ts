/** Starts `swarm.ts` and tells when all its clients have a frame. */
import { join } from "node:path";

export interface Swarm {
  /** Resolves when every client has received its `n`th frame (1-based, in order). */
  complete(n: number): Promise<void>;
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
  let reached = -1;
  const waiting = new Map<number, () => void>();
  void (async () => {
    let rest = "";
    for await (const chunk of child.stdout) {
      const lines = (rest + new TextDecoder().decode(chunk)).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        reached = line === "ready" ? 0 : Number(line);
        waiting.get(reached)?.();
        waiting.delete(reached);
      }
    }
  })();
  const complete = (n: number): Promise<void> =>
    reached >= n ? Promise.resolve() : new Promise((resolve) => waiting.set(n, resolve));
  await complete(0);
  return { complete, stop: () => child.kill() };
}

/** Bytes of an unmasked text frame with this payload (RFC 6455 §5.2). */
export function frameLength(payload: number): number {
  return payload + (payload < 126 ? 2 : payload < 65_536 ? 4 : 10);
}
