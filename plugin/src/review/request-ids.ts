/** Idempotency: a request id seen before gets the answer it got then. */
import { ReviewError } from "../protocol/errors.ts";
import type { Ledger } from "./ledger.ts";

interface Answered {
  body_hash: string;
  answer: string;
}

const hash = (request: object): string =>
  new Bun.CryptoHasher("sha256").update(canonical(request)).digest("hex");

/** JSON with sorted keys, so that the order of fields does not make another body. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** The recorded answer of `request_id`, if there is one. */
export function answered<Answer>(
  ledger: Ledger,
  request: { request_id?: string | undefined },
): Answer | null {
  if (request.request_id === undefined) return null;
  const before = ledger.row<Answered>(
    "SELECT body_hash, answer FROM request WHERE id = ?",
    request.request_id,
  );
  if (before === null) return null;
  if (before.body_hash !== hash(request)) {
    throw new ReviewError(
      "request_reused",
      "request_id: this id was used for another request; nothing was changed",
    );
  }
  return JSON.parse(before.answer) as Answer;
}

export function recordAnswer(
  ledger: Ledger,
  request: { request_id?: string | undefined },
  answer: object,
): void {
  if (request.request_id === undefined) return;
  ledger.change(
    "INSERT INTO request (id, body_hash, answer, at) VALUES (?, ?, ?, ?)",
    request.request_id,
    hash(request),
    JSON.stringify(answer),
    new Date().toISOString(),
  );
}

/** Runs a mutation in one transaction together with the record of its answer. */
export function once<Answer extends object>(
  ledger: Ledger,
  request: { request_id?: string | undefined },
  work: () => Answer,
): Answer {
  return ledger.transaction(() => {
    const before = answered<Answer>(ledger, request);
    if (before !== null) return before;
    const answer = work();
    recordAnswer(ledger, request, answer);
    return answer;
  });
}
