/** The head of a request to a proxy, read strictly: whatever could be read in two ways is refused (RFC 9112). Pure. */

export const HEAD_BYTES = 16_384;

export type ProxyRequest =
  /** A tunnel (RFC 9110 §9.3.6). */
  | ({ kind: "connect"; host: string; port: number } & Who)
  /** A plain request in absolute form; `head` is what the server itself is to be sent. */
  | ({ kind: "plain"; host: string; port: number; head: string } & Who);

/** Who asks, as far as the request says. */
export interface Who {
  /** What it calls itself. */
  program?: string;
  /** Number of the command that it belongs to, by which it may have been given its proxy (RFC 7617: as the user). */
  call?: string;
}

const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:[\]]+):(\d{1,5})$/;
const ABSOLUTE = /^http:\/\/(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:[\]]+)(?::(\d{1,5}))?(\/[^\s#]*|\?[^\s#]*)?$/i;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Of one connection only, or for the proxy alone. */
const NOT_PASSED_ON = new Set([
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authorization",
]);

/**
 * @param head everything up to the empty line, without it
 * @returns a sentence where it is no such request
 */
export function parseHead(head: string): ProxyRequest | string {
  const [line = "", ...lines] = head.split("\r\n");
  const [method = "", target = "", version = "", ...more] = line.split(" ");
  if (more.length > 0 || !TOKEN.test(method) || !/^HTTP\/1\.[01]$/.test(version))
    return "that is no HTTP/1.1 request";
  const fields: [string, string][] = [];
  for (const field of lines) {
    const at = field.indexOf(":");
    const name = field.slice(0, Math.max(at, 0));
    if (!TOKEN.test(name) || /[\0\r\n]/.test(field)) return "a line of its head is no header field";
    fields.push([name, field.slice(at + 1).trim()]);
  }
  const value = (name: string) => fields.find(([one]) => one.toLowerCase() === name)?.[1];
  const agent = value("user-agent");
  const call = callOf(value("proxy-authorization") ?? "");
  const who: Who = {
    ...(agent === undefined ? {} : { program: agent }),
    ...(call === null ? {} : { call }),
  };
  if (method === "CONNECT") {
    const [, host, port] = AUTHORITY.exec(target) ?? [];
    return host === undefined
      ? "CONNECT wants HOST:PORT"
      : { kind: "connect", host, port: Number(port), ...who };
  }
  const [, host, given, path = "/"] = ABSOLUTE.exec(target) ?? [];
  if (host === undefined)
    return "this is a proxy: it wants a whole address that begins with http://, or CONNECT";
  const port = Number(given ?? 80);
  // One request a connection: the next one might be for another host.
  const upgrade = value("upgrade") === undefined ? "close" : "upgrade";
  const kept = fields.filter(([name]) => !NOT_PASSED_ON.has(name.toLowerCase()));
  const own: [string, string][] = [
    ["Host", port === 80 ? host : `${host}:${port}`],
    ["Connection", upgrade],
  ];
  const text = [
    `${method} ${path.startsWith("?") ? `/${path}` : path} ${version}`,
    ...[...own, ...kept].map(([name, content]) => `${name}: ${content}`),
  ].join("\r\n");
  return { kind: "plain", host, port, ...who, head: `${text}\r\n\r\n` };
}

/** Anything else than a number is nobody's. */
function callOf(credentials: string): string | null {
  const [, encoded] = /^basic ([A-Za-z0-9+/]{1,200}={0,2})$/i.exec(credentials) ?? [];
  if (encoded === undefined) return null;
  const [, call] = /^([0-9a-f]{24}):/.exec(Buffer.from(encoded, "base64").toString("latin1")) ?? [];
  return call ?? null;
}

/** A whole answer of the proxy's own. */
export function answer(status: string, text: string): string {
  const body = `${text}\n`;
  return [
    `HTTP/1.1 ${status}`,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
    "",
    body,
  ].join("\r\n");
}
