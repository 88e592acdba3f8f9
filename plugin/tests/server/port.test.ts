import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { PortTakenError } from "../../src/server/server.ts";
import { type Client, connect } from "./client.ts";
import { rawSocket } from "./frames.ts";
import { Place, temporaryDirectory } from "./place.ts";

setDefaultTimeout(30_000);

async function refused(port: number, stateDir = temporaryDirectory("port")): Promise<PortTakenError> {
  try {
    const place = await Place.open({ stateDir, options: { port } });
    await place.stop();
  } catch (error) {
    if (error instanceof PortTakenError) return error;
    throw error;
  }
  throw new Error("the port was free");
}

describe("a taken port", () => {
  test("by this service with the same state: said so, and known to be ours by its proof", async () => {
    const at = await Place.open();
    const error = await refused(at.port, at.stateDir);
    expect([error.owner, error.ours]).toEqual(["own-state", true]);
    expect(error.message).toContain("already served by another process of this suggestion-manager");
    expect((await at.ask("/suggestions")).status).toBe(200);
    await at.stop();
  });

  test("by this service with another state", async () => {
    const at = await Place.open();
    const error = await refused(at.port);
    expect([error.owner, error.ours]).toEqual(["own", true]);
    await at.stop();
  });

  test("by a stranger, silent or talking: a clear error with what to do", async () => {
    const silent = createServer(() => {});
    const http = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json({ healthy: true }) });
    const port = await listening(silent);
    for (const taken of [port, http.port ?? 0]) {
      const error = await refused(taken);
      expect([error.owner, error.ours]).toEqual(["stranger", false]);
      expect(error.message).toContain("taken by another program; stop it or set SUGGESTION_MANAGER_PORT");
    }
    silent.close();
    await http.stop(true);
  });
});

function listening(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

describe("restart", () => {
  test("on the same port while clients reconnect: nothing is missing, nothing twice", async () => {
    const stateDir = temporaryDirectory("restart");
    let at = await Place.open({ stateDir });
    const { port } = at;
    const journal: string[] = [];
    let done = false;
    const following = (async () => {
      while (!done) {
        let client: Client;
        try {
          client = await connect(at);
        } catch {
          await Bun.sleep(5);
          continue;
        }
        client.socket.send(JSON.stringify({ type: "subscribe", since: journal.length }));
        while (!done && client.socket.readyState === WebSocket.OPEN) await Bun.sleep(2);
        for (const text of client.events) {
          if ((JSON.parse(text) as { seq: number }).seq === journal.length + 1) journal.push(text);
        }
        client.close();
      }
    })();
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 200; i++) {
        at.emit(`round ${round} event ${i}`);
        if (i % 10 === 0) await Bun.sleep(1);
      }
      if (round === 4) break;
      await at.server.stop();
      at.desk.close();
      at = await Place.open({ stateDir, options: { port } });
      expect(at.port).toBe(port);
    }
    await Bun.sleep(300);
    done = true;
    await following;
    expect(journal).toEqual(at.journal());
    await at.stop();
  });

  test("stopping ends streams and sockets, frees the port and ends", async () => {
    const at = await Place.open();
    const clients = await Promise.all(Array.from({ length: 20 }, () => connect(at)));
    // By hand, because the runtime's own client shows 1001 as 1000.
    const byHand = await rawSocket(at.port, at.developer);
    const stream = await fetch(`${at.url}/events`, {
      headers: { Authorization: `Bearer ${at.developer}`, Accept: "text/event-stream" },
    });
    await at.server.stop();
    await Promise.all(clients.map(({ closed }) => closed));
    expect(byHand.closeCode()).toBe(1001);
    await stream.text();
    const again = Bun.serve({ port: at.port, hostname: "127.0.0.1", fetch: () => new Response() });
    await again.stop(true);
    await at.stop();
  });
});
