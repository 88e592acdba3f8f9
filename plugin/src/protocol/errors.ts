/**
 * The one error type of the product. Every refusal carries a stable code, a sentence for people and, where one
 * object or field is at fault, its name; doors translate the code to their own status and never invent messages.
 */
import { z } from "zod";

/** Every code a client can meet, with the HTTP status it is answered with. */
export const ERROR_STATUS = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  /** The decision named a digest that is not the hunk's: `details.hunk` is the hunk as it is now. */
  stale_hunk: 409,
  /** The suggestion is finalized or discarded. */
  suggestion_closed: 409,
  /** The same request id came with another body. */
  request_reused: 409,
  /** Nothing to do: nothing accepted to finalize, nothing to undo. */
  nothing_to_do: 409,
  /** The permission or question has its answer, or waits no more: `details` has its `state`, and who answered what. */
  not_waiting: 409,
  /** The edited diff does not fit its place. */
  invalid_modification: 400,
  /** Accepted work and the shared branch touch the same lines: `details.files`. */
  merge_conflict: 409,
  /** The shared branch moved while it was being pushed to. */
  push_rejected: 409,
  /** The change cannot be reviewed as it is (conflicted, divergent, immutable, empty, merge). */
  unpublishable: 409,
  /** The request's body did not arrive in time. */
  request_timeout: 408,
  payload_too_large: 413,
  unsupported_media_type: 415,
  /** `GET /ws` without a WebSocket handshake. */
  upgrade_required: 426,
  rate_limited: 429,
  jj_error: 500,
  git_error: 500,
  internal: 500,
  /** Another process is writing to the ledger; nothing was changed. `details.retry_after` in seconds. */
  ledger_busy: 503,
  /** State that is needed cannot be used: `details.path`; `GET /health` says what and what to do. */
  state_damaged: 503,
  /** The disk is full, or its quota used up: `details.path`. Nothing was changed. */
  storage_full: 507,
  /** The server is stopping, or its port belongs to another process. */
  unavailable: 503,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/** What a client receives: `{"error": {"code", "message", "details"?}}`. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; details?: Record<string, unknown> };
}

export class ReviewError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown> | undefined;

  /**
   * @param code stable code, see {@link ERROR_STATUS}
   * @param message one sentence: what is wrong and what was expected; never holds a secret
   * @param options `details` for programs, `cause` for the log
   */
  constructor(
    code: ErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "ReviewError";
    this.code = code;
    this.details = options.details;
  }

  get status(): number {
    return ERROR_STATUS[this.code];
  }

  toBody(): ErrorBody {
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(this.details === undefined ? {} : { details: this.details }),
      },
    };
  }
}

/** Any thrown value as a ReviewError; what was not foreseen becomes `internal` with its cause kept for the log. */
export function toReviewError(thrown: unknown): ReviewError {
  if (thrown instanceof ReviewError) return thrown;
  const { code, path } = (thrown ?? {}) as { code?: unknown; path?: unknown };
  if (code === "ENOSPC" || code === "EDQUOT")
    return storageFull(typeof path === "string" ? path : null, thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ReviewError("internal", `Unexpected failure: ${message}`, { cause: thrown });
}

/** @param path file or directory that could not be written, where it is known */
export function storageFull(path: string | null, cause: unknown): ReviewError {
  return new ReviewError(
    "storage_full",
    `No space left${path === null ? "" : ` for ${path}`}; nothing was changed. Free some space there and try again.`,
    { cause, ...(path === null ? {} : { details: { path } }) },
  );
}

export const ErrorAnswer = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]),
      message: z.string().describe("One sentence for people"),
      details: z.record(z.string(), z.unknown()).optional().describe("For programs; depends on the code"),
    }),
  })
  .describe("The shape of every refusal");
