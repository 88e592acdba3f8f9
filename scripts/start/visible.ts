/** Text from the agent's side, made harmless for a terminal: nothing in it moves the cursor, draws or reorders. */

/**
 * Control characters, those that reorder, hide or join what stands around them: bidi controls (UAX #9), zero-width
 * characters and tags (all Cf), line and paragraph separators, halves of surrogate pairs; and what draws nothing.
 */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]/gu;

function shown(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code === 0x09 || code === 0x0a) return character;
  if (code < 0x20) return `^${String.fromCharCode(code + 0x40)}`;
  if (code === 0x7f) return "^?";
  return `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}

/** Several lines stay several lines; every other control is written out. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, shown);
}

/** One line, whatever it holds, cut at `most` characters. */
export function visibleLine(text: string, most = 400): string {
  const line = visible(text).replace(/\n/g, "⏎");
  const characters = [...line];
  return characters.length > most ? `${characters.slice(0, most).join("")}…` : line;
}
