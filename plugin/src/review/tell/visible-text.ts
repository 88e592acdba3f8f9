/** Text of others in which nothing is hidden: characters that move, reorder or do not show are written as <xx>. Pure. */

/** Control characters but line ends and tabs, what has no width or is not drawn, and what reorders the text around it. */
const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/gu;

export const visible = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    .replace(HIDDEN, (character) => `<${(character.codePointAt(0) ?? 0).toString(16).padStart(2, "0")}>`);

/** The same on one line. */
export const visibleLine = (text: string): string => visible(text).replace(/\s+/g, " ").trim();
