/** Which ports are free, and who has those that are not. */
import { randomInt } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:net";
import { StartError } from "./report.ts";

function listen(port: number, host = "127.0.0.1"): Promise<number | NodeJS.ErrnoException> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", done);
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      const got = typeof address === "object" && address !== null ? address.port : port;
      server.close(() => done(got));
    });
  });
}

/** Enough to find a free one among ports of which nearly all are taken. */
const TRIES = 200;

/** Ports that the kernel gives to whoever asks for any, both ends included: connections of anybody's use them up. */
function givenToAnybody(): [number, number] {
  try {
    const [low, high] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/);
    return [Number(low), Number(high)];
  } catch {
    // IANA's dynamic ports, RFC 6335.
    return [49_152, 65_535];
  }
}

/**
 * A port that nobody listens on now. It may be a minute until it is opened, by another process: it is none that the
 * kernel could give away in the meantime, unless no other is left.
 * @param host where it is to be free
 */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  const [low, high] = givenToAnybody();
  const others = Array.from({ length: 65_535 - 10_000 }, (_, at) => 10_000 + at).filter(
    (port) => port < low || port > high,
  );
  for (let tries = others.length === 0 ? TRIES : 0; tries < TRIES; tries++) {
    const port = await listen(others[randomInt(others.length)] ?? 0, host);
    if (typeof port === "number") return port;
    if (port.code !== "EADDRINUSE") break;
  }
  const port = await listen(0, host);
  if (typeof port !== "number") throw refusal(0, host, port);
  return port;
}

/** @returns the port itself, or a free one for 0 */
export async function claimPort(port: number, host?: string): Promise<number> {
  if (port === 0) return freePort(host);
  const got = await listen(port, host);
  if (typeof got === "number") return got;
  if (got.code !== "EADDRINUSE") throw refusal(port, host, got);
  const who = holder(port);
  const by = who === null ? "" : ` (process ${who.pid}, ${who.command})`;
  const owner = (await isReviewServer(port)) ? "another review server" : "another program";
  throw new StartError(
    `Port ${port} is taken by ${owner}${by}: stop it, or choose another port with --port N (0 picks a free one)`,
  );
}

function refusal(
  port: number,
  host: string | undefined,
  { code, message }: NodeJS.ErrnoException,
): StartError {
  if (code === "EACCES")
    return new StartError(`Port ${port} needs root: choose one from 1024 up with --port`);
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND")
    return new StartError(`--host: ${host} is no address of this machine`);
  return new StartError(`Port ${port} cannot be opened: ${message}`);
}

async function isReviewServer(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/health`, { signal: AbortSignal.timeout(1500) });
    return ((await answer.json()) as { service?: unknown }).service === "suggestion-manager";
  } catch {
    return false;
  }
}

/** The process that listens on a port, as far as /proc shows it to this user. */
function holder(port: number): { pid: number; command: string } | null {
  const sockets = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    try {
      for (const line of readFileSync(table, "utf8").split("\n").slice(1)) {
        const fields = line.trim().split(/\s+/);
        // State 0A is LISTEN, see proc_net_tcp in the kernel's documentation.
        if (fields[3] === "0A" && Number.parseInt(fields[1]?.split(":").at(-1) ?? "", 16) === port) {
          sockets.add(`socket:[${fields[9]}]`);
        }
      }
    } catch {
      // Not Linux, or hidden.
    }
  }
  if (sockets.size === 0) return null;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
        if (!sockets.has(readlinkSync(`/proc/${pid}/fd/${descriptor}`))) continue;
        return { pid: Number(pid), command: readFileSync(`/proc/${pid}/comm`, "utf8").trim() };
      }
    } catch {
      // Of another user, or gone.
    }
  }
  return null;
}
