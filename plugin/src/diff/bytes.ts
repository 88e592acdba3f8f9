/**
 * Bytes as the engine handles them. Text is never decoded to be changed: lines are byte ranges, a line ends after
 * "\n" (so "\r\n", a lone "\r" or U+2028 belong to their line), and the last line may lack its end.
 */

export const EMPTY = new Uint8Array(0);
const LF = 10;

/** Offsets of all line starts, followed by the length: line i is bytes[offsets[i] .. offsets[i + 1]). */
export function lineOffsets(bytes: Uint8Array): number[] {
  const offsets = [0];
  let from = 0;
  while (from < bytes.length) {
    const end = bytes.indexOf(LF, from);
    from = end === -1 ? bytes.length : end + 1;
    offsets.push(from);
  }
  return offsets;
}

export function lineCount(bytes: Uint8Array): number {
  return lineOffsets(bytes).length - 1;
}

export function concat(parts: Uint8Array[]): Uint8Array {
  if (parts.length === 1 && parts[0] !== undefined) return parts[0];
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** One code point per byte: lossless both ways for any bytes. */
export function toLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

export function fromLatin1(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

export function utf8(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text if the bytes are valid UTF-8 (a BOM stays part of it), else null. */
export function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return null;
  }
}
