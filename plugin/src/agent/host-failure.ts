/** What the host refuses, in the product's own errors. */
import { ReviewError } from "../protocol/errors.ts";

/**
 * @param what the field, and what was not done
 * @param error as the host's client gives it
 */
export function hostFailure(what: string, error: unknown): ReviewError {
  const name = (error as { name?: string } | undefined)?.name ?? "";
  const said =
    (error as { data?: { message?: string } } | undefined)?.data?.message ?? JSON.stringify(error) ?? "";
  return new ReviewError(/NotFound/.test(name) ? "not_found" : "internal", `${what}: ${said}`, {
    cause: error,
  });
}

/** Names at most this many of what there is. */
const MOST_NAMED = 20;

/** A name that the host does not have: the field that gave it, and what there is. */
export function noSuch(field: string, given: string, there: string[]): ReviewError {
  const named = there.slice(0, MOST_NAMED).join(", ") + (there.length > MOST_NAMED ? ", …" : "");
  return new ReviewError(
    "invalid_request",
    `${field}: opencode has no ${given}; expected ${there.length === 0 ? "none" : `one of ${named}`}`,
    { details: { field, expected: there.slice(0, 200) } },
  );
}

export const refusedCommand = (name: string, why: string): ReviewError =>
  new ReviewError("invalid_request", `command: /${name} does not run from here: ${why}`, {
    details: { field: "command" },
  });
