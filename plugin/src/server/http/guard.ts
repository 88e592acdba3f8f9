/**
 * Checks on where a request comes from, made before anything else looks at it. A web page that reaches this port —
 * by a foreign origin, a rebound DNS name or a form post — is stopped here, whatever token it might hold.
 */
import { networkInterfaces } from "node:os";
import { ReviewError } from "../../protocol/errors.ts";

const WILDCARDS = new Set(["0.0.0.0", "::", "[::]"]);
const LOOPBACK = ["localhost", "127.0.0.1", "[::1]"];

function bracketed(address: string): string {
  return address.includes(":") && !address.startsWith("[") ? `[${address}]` : address;
}

function interfaceAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((item) => item.address));
}

/** Host header values that mean this server: the names it is bound to, always with its own port. */
export function allowedHosts(hostname: string, port: number): Set<string> {
  const own = WILDCARDS.has(hostname) ? interfaceAddresses() : [hostname];
  return new Set([...LOOPBACK, ...own.map(bracketed)].map((name) => `${name}:${port}`.toLowerCase()));
}

/**
 * The addresses at which a connection can be one to this very server, as `127.0.0.1:4097` or `[::1]:4097`: what its
 * proof is signed for. Nobody else can listen at one of them while this server does.
 *
 * @param address the IP address really bound to; a wildcard stands for every address of the machine
 */
export function boundAddresses(address: string, port: number): string[] {
  const own = WILDCARDS.has(address)
    ? interfaceAddresses().filter((one) => address !== "0.0.0.0" || !one.includes(":"))
    : [address];
  return own.map((one) => `${bracketed(one)}:${port}`);
}

/** DNS rebinding: the browser sends the attacker's name, or ours with the wrong port. */
export function checkHost(headers: Headers, hosts: Set<string>): void {
  const host = headers.get("host");
  if (host !== null && hosts.has(host.toLowerCase())) return;
  throw new ReviewError("forbidden", "Host header: expected the host and port this server listens on");
}

/** Browsers name the page's origin (or `null` for opaque ones) on every cross-site request and every upgrade. */
export function checkOrigin(headers: Headers, allowed: string[]): void {
  const origin = headers.get("origin");
  if (origin !== null) {
    if (allowed.includes(origin)) return;
    throw new ReviewError("forbidden", "Origin header: this origin is not allowed to use the server");
  }
  // Requests that browsers send without an origin (images, scripts, navigations) still say that they are one's.
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "none" && site !== "same-origin") {
    throw new ReviewError("forbidden", "Sec-Fetch-Site header: cross-site requests are refused");
  }
}

const URL_SECRETS = new Set(["token", "access_token", "auth", "authorization", "api_key", "key", "bearer"]);

/** A token in a URL ends up in histories, logs and process lists; it is refused even beside a good header. */
export function checkNoTokenInUrl(url: URL): void {
  for (const name of url.searchParams.keys()) {
    if (URL_SECRETS.has(name.toLowerCase())) {
      throw new ReviewError(
        "invalid_request",
        "A token belongs in the Authorization header, never in the URL; this one may be in a log now: rotate it",
      );
    }
  }
}

/** @returns the presented bearer token, or null. `basic` also takes a Basic password, for git's helpers. */
export function presentedToken(headers: Headers, basic: boolean): string | null {
  const header = headers.get("authorization");
  if (header === null) return null;
  const bearer = /^bearer +([^\s,]+)$/i.exec(header);
  if (bearer?.[1] !== undefined) return bearer[1];
  if (!basic) return null;
  const encoded = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(header)?.[1];
  if (encoded === undefined) return null;
  const decoded = Buffer.from(encoded, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  return colon < 0 ? null : decoded.slice(colon + 1);
}

/** Forms and `text/plain` need no preflight in a browser; requiring JSON makes every POST need one. */
export function checkJson(headers: Headers): void {
  const type = headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i.test(type)) {
    throw new ReviewError("unsupported_media_type", "Content-Type header: expected application/json");
  }
  const encoding = headers.get("content-encoding");
  if (encoding !== null && encoding.toLowerCase() !== "identity") {
    throw new ReviewError("unsupported_media_type", "Content-Encoding header: expected none");
  }
}
