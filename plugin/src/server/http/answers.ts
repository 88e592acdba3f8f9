/** How answers leave: JSON with the headers every response carries, and one shape for every refusal. */
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
export function jsonText(text: string, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(text, {
    status,
    headers: { "Content-Type": "application/json; charset=utf-8", ...SECURITY_HEADERS, ...headers },
  });
}

export function bytes(
  value: Uint8Array<ArrayBuffer> | string,
  contentType: string,
  headers: Record<string, string> = {},
): Response {
  return new Response(value, { headers: { "Content-Type": contentType, ...SECURITY_HEADERS, ...headers } });
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
