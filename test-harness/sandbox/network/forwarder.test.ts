/** The forwarder, as a program of its own: ports lead to sockets and sockets to ports, and what goes through arrives whole. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Running } from "../../support/processes.ts";
import { ROOT, Scene, until } from "../../support/scene.ts";

/** From what the buffers of the kernel hold on the way to more than that. */
const SIZES = [50_000, 400_000, 1_000_000, 2_000_000, 4_000_000, 20_000_000];

/** Says so many bytes, that this is all, and, where it `isGone`, is gone altogether then. */
function startSource(scene: Scene, size: () => number, isGone = true) {
  const pending = new Map<object, number>();
  const chunk = Buffer.alloc(65_536, "x");
  type One = { write(bytes: Uint8Array): number; shutdown(): void; terminate(): void };
  const more = (socket: One) => {
    let left = pending.get(socket) ?? 0;
    for (let written = 1; left > 0 && written > 0; left -= written)
      written = Math.max(socket.write(chunk.subarray(0, Math.min(left, chunk.length))), 0);
    pending.set(socket, left);
    if (left > 0 || !pending.has(socket)) return;
    pending.delete(socket);
    socket.shutdown();
    if (isGone) setTimeout(() => socket.terminate(), 100);
  };
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        pending.set(socket, size());
        more(socket);
      },
      drain: (socket) => (pending.has(socket) ? more(socket) : undefined),
      data: () => undefined,
    },
  });
  scene.atEnd(() => listener.stop(true));
  return listener.port;
}

/** Milliseconds of a processor's that a process has used. */
function used(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? [];
  // In hundredths of a second, see proc_pid_stat(5).
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Connects, lets everything pile up until `isTime`, and counts what comes then. */
async function received(port: number, isTime: Promise<void>): Promise<number> {
  let bytes = 0;
  const done = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (one) => one.pause(),
      data(_, chunk) {
        bytes += chunk.length;
      },
      close: () => done.resolve(),
      error: () => done.resolve(),
    },
  });
  await isTime;
  socket.resume();
  await done.promise;
  return bytes;
}

describe("a forwarder", () => {
  const scene = new Scene("forwarder");
  let size = 0;
  let port: number;
  let staying: number;
  let running: Running;

  beforeAll(async () => {
    const source = startSource(scene, () => size);
    const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    port = probe.port;
    probe.stop(true);
    const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    staying = other.port;
    other.stop(true);
    const stays = startSource(scene, () => size, false);
    // What an earlier one left behind.
    writeFileSync(scene.path("way"), "");
    const program = ["bun", "--no-env-file", join(ROOT, "sandbox/network/forwarder.ts")];
    const pairs = [`${port}=${scene.path("way")}`, `${scene.path("way")}=${source}`, `${staying}=${stays}`];
    running = Running.start(scene, "forwarder", [...program, ...pairs], { cwd: ROOT });
    await until("the forwarder is ready", () => /^ready \d+\n/.test(running.out));
  });
  afterAll(() => scene.close());

  for (const bytes of SIZES) {
    test(`a port leads to a socket and a socket to a port; all of ${bytes} bytes arrive though who sent them is gone`, async () => {
      size = bytes;
      expect(await received(port, Bun.sleep(300))).toBe(bytes);
    }, 20_000);
  }

  test("waits for a slow reader without keeping a processor busy, though the other side has said all", async () => {
    size = 3_000_000;
    // It is still now and then: a processor that is kept busy is so all the time.
    const isQuiet = async () => {
      const before = used(running.pid);
      await Bun.sleep(500);
      return used(running.pid) - before < 100;
    };
    const quiet = until("it is quiet", isQuiet, 15_000);
    expect(
      await received(
        staying,
        quiet.then(() => undefined),
      ),
    ).toBe(size);
  }, 20_000);
});
