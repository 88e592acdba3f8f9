/** How answers leave: JSON with the headers every response carries, and one shape for every refusal. */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { ReviewError } from "../../protocol/errors.ts";

/** Nothing here is a page: no sniffing, no framing, no scripts, no caching, no reading from other sites. */
export const SECURITY_HEADERS: Record<string, string> = {
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-store",
};

export function json(value: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return jsonText(JSON.stringify(value), status, headers);
}

/** For answers that are JSON text already. */
function jsonText(text: string, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(text, {
    status,
    headers: { "Content-Type": JSON_TYPE, ...SECURITY_HEADERS, ...headers },
  });
}

export const JSON_TYPE = "application/json; charset=utf-8";

/** What a route answers when it is no value to be written as JSON: text or bytes that are made already. */
export class Payload {
  constructor(
    readonly body: string | Uint8Array<ArrayBuffer>,
    readonly contentType: string,
    readonly headers: Record<string, string> = {},
  ) {}
}

/** Below this many characters or bytes an answer is sent as it is, whatever the client takes. */
const GZIP_FROM = 16 * 1024;
const gzipped = promisify(gzip);

/** The validator of an answer (RFC 9110 §8.8.3): the same for the same bytes. */
export const etagOf = (body: string | Uint8Array): string =>
  `"${new Bun.CryptoHasher("sha256").update(body).digest("base64url").slice(0, 27)}"`;

/**
 * An answer to a request: 304 for who names the ETag it has, gzip for who takes it.
 *
 * @param etag left out where answers are not remembered
 */
export async function respond(
  request: Request,
  { body, contentType, headers }: Payload,
  status: number,
  etag?: string,
): Promise<Response> {
  const all: Record<string, string> = { ...SECURITY_HEADERS, ...headers, Vary: "Accept-Encoding" };
  if (etag !== undefined) {
    all.ETag = etag;
    const known = request.headers.get("if-none-match") ?? "";
    if (known === "*" || known.split(",").some((one) => one.trim().replace(/^W\//, "") === etag))
      return new Response(null, { status: 304, headers: all });
  }
  all["Content-Type"] = contentType;
  const zip =
    body.length >= GZIP_FROM &&
    /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/i.test(request.headers.get("accept-encoding") ?? "");
  if (!zip) return new Response(body, { status, headers: all });
  const packed = await gzipped(body, { level: 1 });
  return new Response(packed, { status, headers: { ...all, "Content-Encoding": "gzip" } });
}

export function refusal(error: ReviewError, headers: Record<string, string> = {}): Response {
  const wait = error.details?.retry_after;
  const retry: Record<string, string> = typeof wait === "number" ? { "Retry-After": String(wait) } : {};
  return json(error.toBody(), error.status, { ...retry, ...headers });
}

/** The one answer to a missing and to a wrong token. */
export function unauthorized(challenge: "Bearer" | "Basic"): Response {
  const error = new ReviewError("unauthorized", "Expected a valid token in the Authorization header");
  const value = challenge === "Basic" ? 'Basic realm="suggestion-manager", charset="UTF-8"' : "Bearer";
  return refusal(error, { "WWW-Authenticate": value });
}

export function rateLimited(seconds: number): Response {
  const error = new ReviewError("rate_limited", `Too many requests; try again in ${seconds} s`, {
    details: { retry_after: seconds },
  });
  return refusal(error, { "Retry-After": String(seconds) });
}
