/**
 * Paths are bytes to git. Inside the engine a path is a *raw path*: a string with one code point per byte, usable
 * as a map key. Clients see UTF-8; a path that is not valid UTF-8 is shown C-quoted, as git shows it, and
 * its raw bytes travel in base64 beside it.
 */
import { decodeUtf8, fromLatin1, toLatin1, utf8 } from "./bytes.ts";

export type RawPath = string;

export const rawFromText = (path: string): RawPath => toLatin1(utf8(path));

/** Path as clients see it. */
export function displayPath(raw: RawPath): string {
  return decodeUtf8(fromLatin1(raw)) ?? quotePath(raw);
}

/** base64 of the raw bytes when the displayed path does not say it all. */
export function pathBase64(raw: RawPath): string | undefined {
  return decodeUtf8(fromLatin1(raw)) === null ? Buffer.from(raw, "latin1").toString("base64") : undefined;
}

const ESCAPES: Record<number, string> = {
  7: "\\a",
  8: "\\b",
  9: "\\t",
  10: "\\n",
  11: "\\v",
  12: "\\f",
  13: "\\r",
  34: '\\"',
  92: "\\\\",
};

/** Always quoted, in the C style of `git ls-files` and fast-import: octal for control and non-ASCII bytes. */
export function quotePath(raw: RawPath): string {
  let out = '"';
  for (const character of raw) {
    const byte = character.charCodeAt(0);
    const known = ESCAPES[byte];
    if (known !== undefined) out += known;
    else if (byte < 32 || byte > 126) out += `\\${byte.toString(8).padStart(3, "0")}`;
    else out += character;
  }
  return `${out}"`;
}

/** Whether `inner` lies in the directory `outer`. */
export const isBelow = (inner: RawPath, outer: RawPath): boolean => inner.startsWith(`${outer}/`);
