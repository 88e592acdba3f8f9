/**
 * How much is answered at once, in bytes. All of it fits into the largest message of a socket (`server/limits.ts`), whose
 * other bounds stand there; how long a single field may be says its schema.
 */

/** A page of summaries or hunks ends before it. */
export const PAGE_BYTES = 900_000;
/** A longer diff of a hunk is left out of pages and events, and fetched by content. */
export const DIFF_BYTES = 256 * 1024;
/** Hunks travel with an event up to it; beyond, clients page through them. */
export const INLINE_HUNKS_BYTES = 256 * 1024;
