/** Two sockets as one, at any pace and with any end: what one side says is what the other hears, and a cut is heard as a cut. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { type Connection, dial, type Listener, listen } from "../../../sandbox/network/connection.ts";
import { hasSaidAll, shut } from "../../../sandbox/network/descriptor.ts";
import { give, listenGiven } from "../../../sandbox/network/given.ts";
import { pump } from "../../../sandbox/network/pump.ts";
import { connectBare, fare, type Heard, listenBare, type Plan } from "../../support/bare-socket.ts";
import { Running } from "../../support/processes.ts";
import { ROOT, Scene, until } from "../../support/scene.ts";

const RUNS = 40;
const descriptors = () => readdirSync("/proc/self/fd").length;

const plan: fc.Arbitrary<Plan> = fc.record({
  bytes: fc.oneof(
    fc.integer({ min: 0, max: 2000 }),
    fc.integer({ min: 0, max: 900_000 }),
    fc.integer({ min: 500_000, max: 6_000_000 }),
  ),
  piece: fc.constantFrom(1000, 16_384, 262_144),
  rest: fc.constantFrom(0, 0, 1, 20),
  end: fc.constantFrom("ends", "ends", "goes", "breaks off"),
});

type Way = Pick<Listener, "stop" | "open" | "port">;
type Serve = (client: Connection) => void;

const MOST = 1000;
/** In this process; and through a forwarder, which gives what it accepts to this process. */
const WAYS: Record<string, (scene: Scene, serve: Serve) => Promise<Way>> = {
  "a way": async (_, serve) => listen({ port: 0 }, serve, MOST),
  async "a way that is given"(scene, serve) {
    const path = scene.path("way");
    const given = listenGiven(path, serve, MOST);
    if (given === null) throw new Error("this system has no way to give a connection");
    const probe = listen({ port: 0 }, () => undefined, 0);
    const { port } = probe;
    probe.stop(true);
    const program = ["bun", "--no-env-file", join(ROOT, "sandbox/network/forwarder.ts"), `${port}=${path}`];
    const running = Running.start(scene, "forwarder", program, { cwd: ROOT });
    await until("the forwarder is ready", () => /^ready \d+\n/.test(running.out));
    return {
      port,
      stop: (all) => given.stop(all),
      get open() {
        return given.open;
      },
    };
  },
};

for (const [name, make] of Object.entries(WAYS))
  describe(name, () => {
    let scene: Scene;
    const accepted: ((descriptor: number) => void)[] = [];
    let server: ReturnType<typeof listenBare>;
    let way: Way;

    beforeAll(() => {
      server = listenBare((descriptor) => accepted.shift()?.(descriptor));
    });
    beforeEach(async () => {
      scene = new Scene("way");
      way = await make(scene, async (client) => {
        const out = await dial({ hostname: "127.0.0.1", port: server.port }, 10_000);
        if (typeof out === "string") client.destroy();
        else client.join(out, pump());
      });
    });
    afterEach(async () => {
      way.stop(true);
      await scene.close();
    });
    afterAll(() => server.stop());

    async function go(caller: Plan, called: Plan): Promise<{ caller: Heard; called: Heard }> {
      const there = new Promise<number>((resolve) => accepted.push(resolve));
      const [here, other] = [await connectBare(way.port), await there];
      const [first, second] = await Promise.all([fare(here, caller), fare(other, called)]);
      return { caller: first, called: second };
    }

    function check(says: Plan, hears: Plan, { bytes, isTrue, how }: Heard): void {
      expect(isTrue).toBe(true);
      // An end is heard of what has one, after all of it, and of nothing else.
      if (how === "end")
        expect([says.end, bytes]).toEqual([says.end === "goes" ? "goes" : "ends", says.bytes]);
      if (says.end === "ends" && hears.end === "ends")
        expect({ bytes, how }).toEqual({ bytes: says.bytes, how: "end" });
    }

    test("passes on bytes, ends and cuts as they come, on any schedule, and keeps nothing", async () => {
      const small: Plan = { bytes: 1, piece: 1000, rest: 0, end: "ends" };
      // The thread that moves them stays.
      await go(small, small);
      await until("nothing is open", () => way.open === 0);
      const before = descriptors();
      await fc.assert(
        fc.asyncProperty(fc.tuple(plan, plan), async ([caller, called]) => {
          const heard = await go(caller, called);
          check(caller, called, heard.called);
          check(called, caller, heard.caller);
        }),
        { numRuns: RUNS },
      );
      await until("nothing is open", () => way.open === 0 && descriptors() <= before, 15_000);
    }, 120_000);

    async function pair(): Promise<{ here: number; there: number }> {
      const there = new Promise<number>((resolve) => accepted.push(resolve));
      return { here: await connectBare(way.port), there: await there };
    }

    test("lets go of both when the one that was called has said all and the caller says nothing more", async () => {
      const { here, there } = await pair();
      writeSync(there, "all");
      shut(there);
      await until("it is let go", () => way.open === 0, 15_000);
      expect(readSync(here, Buffer.alloc(10))).toBe(3);
      for (const descriptor of [here, there]) closeSync(descriptor);
    }, 20_000);

    test("keeps a caller that has said all and waits for its answer, and breaks it off when it is told to stop", async () => {
      const { here, there } = await pair();
      shut(here);
      await until("the end arrives", () => hasSaidAll(there));
      expect(way.open).toBe(1);
      writeSync(there, "x");
      const heard = Buffer.alloc(10);
      await until("the answer arrives", () => bytesOf(here, heard) === 1);
      way.stop(true);
      await until("it broke off", () => bytesOf(here, heard) === "ECONNRESET");
      for (const descriptor of [here, there]) closeSync(descriptor);
    }, 20_000);
  });

test("only connections of TCP are taken, and no more than so many", async () => {
  const scene = new Scene("given");
  const served: Connection[] = [];
  const given = listenGiven(scene.path("way"), (client) => served.push(client), 1);
  const server = listenBare((descriptor) => descriptors.push(descriptor));
  const descriptors: number[] = [];
  const gone = async (here: number) => {
    const into = Buffer.alloc(1);
    await until("it is closed", () => [0, "ECONNRESET"].includes(bytesOf(here, into) ?? ""));
    closeSync(here);
  };
  try {
    expect(give(scene.path("nobody"), 0)).toBe(false);
    // A file; what is given is closed here.
    expect(give(scene.path("way"), openSync("/dev/null", "r"))).toBe(true);
    const first = await connectBare(server.port);
    const second = await connectBare(server.port);
    await until("both are here", () => descriptors.length === 2);
    for (const descriptor of descriptors) expect(give(scene.path("way"), descriptor)).toBe(true);
    await until("one is served", () => served.length === 1);
    await gone(second);
    expect(given?.open).toBe(1);
    served[0]?.destroy();
    await gone(first);
    expect(served.length).toBe(1);
  } finally {
    given?.stop(true);
    server.stop();
    await scene.close();
  }
}, 20_000);

function bytesOf(descriptor: number, into: Buffer): number | string | undefined {
  try {
    return readSync(descriptor, into);
  } catch (error) {
    return (error as { code?: string }).code;
  }
}
