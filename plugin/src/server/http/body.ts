/**
 * Reading a JSON request body with a bound on its size and its time. The bound counts bytes as they arrive, so a
 * chunked body without a Content-Length meets the same limit.
 */
import { ReviewError } from "../../protocol/errors.ts";
import type { Limits } from "../limits.ts";

function tooLarge(limit: number): ReviewError {
  return new ReviewError("payload_too_large", `Request body: expected at most ${limit} bytes`, {
    details: { limit },
  });
}

export async function readBytes(request: Request, limits: Limits): Promise<Uint8Array> {
  const limit = limits.bodyBytes;
  if (Number(request.headers.get("content-length") ?? 0) > limit) throw tooLarge(limit);
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    void reader.cancel();
  }, limits.bodyMs);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (late)
        throw new ReviewError("request_timeout", `Request body: not complete after ${limits.bodyMs} ms`);
      if (done) break;
      size += value.byteLength;
      if (size > limit) {
        void reader.cancel();
        throw tooLarge(limit);
      }
      chunks.push(value);
    }
  } finally {
    clearTimeout(deadline);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

export function parseJson(body: Uint8Array | string, what: string): unknown {
  let text: string;
  try {
    text = typeof body === "string" ? body : utf8.decode(body);
  } catch {
    throw new ReviewError("invalid_request", `${what}: expected UTF-8 text`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    // The parser's own message may quote the text; the place alone is enough and never repeats what came in.
    const place = error instanceof Error && /position \d+/.exec(error.message)?.[0];
    throw new ReviewError("invalid_request", `${what}: expected JSON${place ? ` (${place})` : ""}`);
  }
}
