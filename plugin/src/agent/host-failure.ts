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
