/** A request through the launcher's relay beside the same request to a server on the port itself: each in a process of its own. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Row } from "../../../scripts/bench/row.ts";
import { freePort } from "../../../scripts/start/ports.ts";
import { quantile } from "../server/parts/numbers.ts";

const ROOT = join(import.meta.dir, "../../..");
const ROUNDS = 2000;
const WARM_UP = 500;
const GOAL = 1.2;

function jj(dir: string, ...args: string[]): void {
  const settings = ["--config", 'user.name="Bench"', "--config", 'user.email="bench@localhost"'];
  const done = Bun.spawnSync(["jj", "--quiet", ...settings, ...args], { cwd: dir });
  if (!done.success) throw new Error(`jj ${args.join(" ")}: ${done.stderr}`);
}

/** A server with one published suggestion. @param socket where it listens, in place of the port */
async function serve(scratch: string, name: string, socket: string | null) {
  const dir = join(scratch, name);
  cpSync(join(ROOT, "demo/project"), dir, { recursive: true });
  jj(dir, "git", "init", "--colocate", ".");
  jj(dir, "commit", "-m", "base");
  jj(dir, "bookmark", "create", "main", "-r", "@-");
  writeFileSync(join(dir, "new.txt"), "a line\n".repeat(200));
  const state = join(scratch, `${name}-state`);
  const port = await freePort();
  const where = ["--port", String(port), "--state", state, ...(socket === null ? [] : ["--socket", socket])];
  const argv = ["bun", join(ROOT, "plugin/src/serve.ts"), "--project", dir, "--json", ...where];
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "ignore" });
  for await (const _ of child.stdout) break;
  const token = readFileSync(join(state, "token"), "utf8").trim();
  return { child, port, token };
}

function relay(port: number, socket: string) {
  const code = `
    const { startRelay } = await import(${JSON.stringify(join(ROOT, "sandbox/relay/relay.ts"))});
    const { dialAt } = await import(${JSON.stringify(join(ROOT, "sandbox/relay/socket-at.ts"))});
    await startRelay({ hostname: "127.0.0.1", port: ${port} }, () => dialAt(${JSON.stringify(socket)}, process.getuid()));
    console.log("ready");`;
  return Bun.spawn(["bun", "-e", code], { stdout: "pipe", stderr: "inherit" });
}

/** One connection that is kept: sends a request and waits for the whole answer. */
async function asker(port: number, token: string, path: string): Promise<() => Promise<number>> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise((resolve) => socket.once("connect", resolve));
  const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  return () =>
    new Promise((resolve, reject) => {
      let got = Buffer.alloc(0);
      const take = (chunk: Buffer) => {
        got = Buffer.concat([got, chunk]);
        const end = got.indexOf("\r\n\r\n");
        const length = Number(
          /content-length: (\d+)/i.exec(got.toString("latin1", 0, Math.max(end, 0)))?.[1],
        );
        if (end < 0 || got.length < end + 4 + length) return;
        socket.off("data", take);
        if (!got.toString("latin1", 0, 15).includes(" 200"))
          reject(new Error(got.toString("latin1", 0, 200)));
        resolve(got.length);
      };
      socket.on("data", take);
      socket.write(request);
    });
}

export async function run(): Promise<Row[]> {
  const scratch = mkdtempSync(join(tmpdir(), "sm-bench-relay-"));
  const running: { kill(): void }[] = [];
  try {
    const socket = join(scratch, "s");
    const direct = await serve(scratch, "one", null);
    const behind = await serve(scratch, "two", socket);
    running.push(direct.child, behind.child);
    const between = relay(behind.port, socket);
    running.push(between);
    for await (const _ of between.stdout) break;
    const sides = await Promise.all(
      [behind, direct].map(async ({ port, token }) => {
        const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
        const body = JSON.stringify({ description: "Bench" });
        const made = await fetch(`http://127.0.0.1:${port}/suggestions`, { method: "POST", headers, body });
        const { suggestion_id: id } = (await made.json()) as { suggestion_id: string };
        return { ask: await asker(port, token, `/suggestions/${id}`), times: [] as number[] };
      }),
    );
    let bytes = 0;
    for (let round = 0; round < ROUNDS + WARM_UP; round++) {
      for (const { ask, times } of round % 2 === 0 ? sides : sides.toReversed()) {
        const from = performance.now();
        bytes = await ask();
        if (round >= WARM_UP) times.push(performance.now() - from);
      }
    }
    const [ours = Number.NaN, against = Number.NaN] = sides.map(({ times }) => quantile(times, 0.5));
    const name = `GET of a suggestion (${bytes} bytes) through the relay, p50 / direct`;
    return [{ suite: "sandbox", name, ours, against, ratio: ours / against, goal: `<= ${GOAL}`, unit: "ms" }];
  } finally {
    for (const child of running) child.kill();
    rmSync(scratch, { recursive: true, force: true });
  }
}
