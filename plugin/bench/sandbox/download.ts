/**
 * 100 MB by curl, from a server of this machine's: through the cage's network and the proxy, and directly. Once from a server
 * that sends as fast as a line of 1 Gbit/s takes it, and once as fast as it can, which is copying within the machine.
 */
import type { Row } from "../../../scripts/bench/row.ts";
import { makeCage } from "./parts/cage.ts";

const BYTES = 100 * 10 ** 6;
const ROUNDS = 7;
/** 1 Gbit/s. */
const BYTES_PER_MS = 125_000;

/** A body that comes at the pace of a line. */
const paced = () => {
  const from = performance.now();
  let sent = 0;
  return new ReadableStream({
    type: "direct",
    async pull(controller: { write(bytes: Uint8Array): unknown; flush(): unknown; close(): unknown }) {
      while (sent < BYTES) {
        const due = Math.min(BYTES, (performance.now() - from) * BYTES_PER_MS) - sent;
        if (due > 0) {
          controller.write(new Uint8Array(due));
          await controller.flush();
          sent += Math.floor(due);
        }
        await Bun.sleep(2);
      }
      controller.close();
    },
  } as never);
};

export async function run(): Promise<Row[]> {
  const server = Bun.spawn(["bun", import.meta.path], { stdout: "pipe" });
  const [first] = await Array.fromAsync(firstLine(server.stdout));
  const port = Number(first);
  const cage = makeCage({ allow: [{ host: "127.0.0.1", port, reach: [] }], deny: [] });
  try {
    return [
      await measured(cage, port, "line", "a line of 1 Gbit/s", ">= 0.7"),
      await measured(cage, port, "memory", "as fast as the machine copies", ">= 0.5"),
    ];
  } finally {
    cage.end();
    server.kill();
  }
}

async function* firstLine(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  for await (const chunk of stream) {
    yield new TextDecoder().decode(chunk).trim();
    return;
  }
}

async function measured(
  cage: ReturnType<typeof makeCage>,
  port: number,
  path: string,
  what: string,
  goal: string,
): Promise<Row> {
  const curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{size_download}/%{time_total}"];
  const url = `http://127.0.0.1:${port}/${path}`;
  const sides = {
    ours: [
      ...cage.within,
      "bash",
      "-c",
      `exec "${cage.shell}" -c "${curl.join(" ")} --proxy http://127.0.0.1:3128 --noproxy '' ${url}"`,
    ],
    direct: [...curl, "--noproxy", "*", url],
  };
  const times: Record<string, number[]> = { ours: [], direct: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const order = Object.entries(sides);
    if (round % 2 === 0) order.reverse();
    for (const [name, command] of order) {
      const child = Bun.spawn(command, { cwd: cage.dir, stdout: "pipe" });
      const [size, seconds] = (await new Response(child.stdout).text()).split("/");
      if (Number(size) !== BYTES) throw new Error(`${name}: ${size} bytes came`);
      times[name]?.push(Number(seconds));
    }
  }
  const rate = (values: number[] = []) =>
    BYTES / 10 ** 6 / (values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 1);
  const [ours, against] = [rate(times.ours), rate(times.direct)];
  return {
    ...{ suite: "sandbox", name: `100 MB through the proxy beside direct, ${what}`, goal, unit: "MB/s" },
    ...{ ours, against, ratio: ours / against },
  };
}

if (import.meta.main) {
  const whole = new Uint8Array(BYTES);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => new Response(request.url.endsWith("/line") ? paced() : whole),
  });
  process.stdout.write(`${server.port}\n`);
}
