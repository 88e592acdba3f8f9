/** A server that listens on a Unix socket: what a port is taken for, and by whom, holds for it too. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { PortTakenError } from "../../src/server/server.ts";
import { Place, proofFor, temporaryDirectory } from "./place.ts";

setDefaultTimeout(30_000);

const PORT = 4998;
const ask = (place: Place, socket: string, path: string) =>
  fetch(`${place.url}${path}`, { unix: socket, headers: { Authorization: `Bearer ${place.developer}` } });

describe("a Unix socket in place of the port", () => {
  test("answers there and proves itself for the address that clients know", async () => {
    const socket = join(temporaryDirectory("unix"), "s");
    const place = await Place.open({ options: { socket, port: PORT } });
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    const health = (await (await ask(place, socket, "/health?nonce=abcdefgh")).json()) as {
      proofs: string[];
    };
    expect(health.proofs).toContain(proofFor(place.developer, "abcdefgh", `127.0.0.1:${PORT}`));
    // All strangers look alike there: none of them shuts the others out.
    for (let n = 0; n < 60; n++) {
      const answer = await fetch(`${place.url}/suggestions`, { unix: socket });
      expect(answer.status).toBe(401);
    }
    await place.stop();
    expect(existsSync(socket)).toBe(false);
  });

  test("that a server of this state has, another state's, or a stranger: each said as for a port", async () => {
    const socket = join(temporaryDirectory("unix"), "s");
    const place = await Place.open({ options: { socket, port: PORT } });
    const refused = (stateDir: string) =>
      Place.open({ stateDir, options: { socket, port: PORT } }).then(
        () => "it could listen",
        (error: unknown) => (error instanceof PortTakenError ? error.owner : String(error)),
      );
    expect(await refused(place.stateDir)).toBe("own-state");
    expect(await refused(temporaryDirectory("unix"))).toBe("own");
    expect((await ask(place, socket, "/suggestions")).status).toBe(200);
    await place.stop();
    const stranger = createServer((client) => client.destroy());
    await new Promise<void>((resolve) => void stranger.listen(socket, resolve));
    expect(await refused(temporaryDirectory("unix"))).toBe("stranger");
    stranger.close();
  });

  test("that a killed server has left behind is taken over", async () => {
    const socket = join(temporaryDirectory("unix"), "s");
    const code = `require("node:net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))`;
    await Bun.spawn([process.execPath, "-e", code, socket], { stderr: "ignore" }).exited;
    expect(existsSync(socket)).toBe(true);
    const place = await Place.open({ options: { socket, port: PORT } });
    expect((await ask(place, socket, "/suggestions")).status).toBe(200);
    await place.stop();
    rmSync(socket, { force: true });
  });

  test("needs the port of who relays to it", async () => {
    const socket = join(temporaryDirectory("unix"), "s");
    const opening = Place.open({ options: { socket, port: 0 } });
    expect(opening).rejects.toThrow("port: expected the port of the relay");
    await opening.catch(() => undefined);
    expect(existsSync(socket)).toBe(false);
  });
});
