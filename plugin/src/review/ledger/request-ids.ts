/** Idempotency: a request id seen before gets the answer it got then. */

import type { UseCaseName } from "../../protocol/changes.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { Ledger } from "./ledger.ts";

interface Answered {
  body_hash: string;
  answer: string;
}

interface Identified {
  request_id?: string | undefined;
}

/** The same body means another thing to another use case. A single decision is recorded as it always was. */
const hash = (useCase: UseCaseName, request: object): string =>
  new Bun.CryptoHasher("sha256")
    .update(`${useCase === "feedback" ? "decide" : useCase} ${canonical(request)}`)
    .digest("hex");

/** JSON with sorted keys, so that the order of fields does not make another body. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** The recorded answer of `request_id`, if there is one. */
export function answered<Answer>(ledger: Ledger, useCase: UseCaseName, request: Identified): Answer | null {
  if (request.request_id === undefined) return null;
  const before = ledger.row<Answered>(
    "SELECT body_hash, answer FROM request WHERE id = ?",
    request.request_id,
  );
  if (before === null) return null;
  if (before.body_hash !== hash(useCase, request)) {
    throw new ReviewError(
      "request_reused",
      "request_id: this id was used for another request; nothing was changed",
    );
  }
  return JSON.parse(before.answer) as Answer;
}

export function recordAnswer(
  ledger: Ledger,
  useCase: UseCaseName,
  request: Identified,
  answer: object,
): void {
  if (request.request_id === undefined) return;
  ledger.change(
    "INSERT INTO request (id, body_hash, answer, at) VALUES (?, ?, ?, ?)",
    request.request_id,
    hash(useCase, request),
    JSON.stringify(answer),
    new Date().toISOString(),
  );
}

/** Runs a mutation in one transaction together with the record of its answer. */
export function once<Answer extends object>(
  ledger: Ledger,
  useCase: UseCaseName,
  request: Identified,
  work: () => Answer,
): Answer {
  return ledger.transaction(() => {
    const before = answered<Answer>(ledger, useCase, request);
    if (before !== null) return before;
    const answer = work();
    recordAnswer(ledger, useCase, request, answer);
    return answer;
  });
}
