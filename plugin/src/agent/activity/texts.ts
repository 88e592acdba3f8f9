/** Texts as they are kept: whole up to a number of bytes, cut between two characters. Pure. */

export interface Cut {
  text: string;
  /** Bytes left out. */
  cut: number;
}

const decoder = new TextDecoder();
const isWithinCharacter = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

/** The beginning of a text. */
export function beginningOf(text: string, most: number): Cut {
  // At most three bytes of UTF-8 for one UTF-16 unit: counted only where it can matter.
  if (text.length * 3 <= most) return { text, cut: 0 };
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return { text, cut: 0 };
  let end = most;
  while (isWithinCharacter(bytes[end])) end -= 1;
  return { text: decoder.decode(bytes.subarray(0, end)), cut: bytes.length - end };
}

/** The end of a text. */
export function endOf(text: string, most: number): Cut {
  if (text.length * 3 <= most) return { text, cut: 0 };
  const bytes = Buffer.from(text);
  if (bytes.length <= most) return { text, cut: 0 };
  let start = bytes.length - most;
  while (isWithinCharacter(bytes[start])) start += 1;
  return { text: decoder.decode(bytes.subarray(start)), cut: start };
}
