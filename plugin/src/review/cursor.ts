/**
 * Keyset cursors: where the next page of an ordered list begins, as opaque text. Unlike an offset it neither skips nor
 * repeats anything when rows before it come or go.
 */
import { ReviewError } from "../protocol/errors.ts";

type Key = readonly (string | number)[];

export const toCursor = (key: Key): string => Buffer.from(JSON.stringify(key)).toString("base64url");

/**
 * @param like a key of the list's order, for the types of its parts
 * @throws ReviewError when the text is no cursor of this list
 */
export function fromCursor<K extends Key>(cursor: string, like: K): K {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    const fits =
      Array.isArray(key) &&
      key.length === like.length &&
      key.every((part, i) => typeof part === typeof like[i]);
    if (fits) return key as unknown as K;
  } catch {
    // Not ours: refused below.
  }
  throw new ReviewError("invalid_request", "Query: cursor: expected next_cursor of an earlier answer", {
    details: { field: "cursor" },
  });
}
