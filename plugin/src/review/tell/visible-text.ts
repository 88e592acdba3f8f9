/** Text of others in which nothing is hidden: characters that move, reorder or do not show are written as <xx>. Pure. */

/** Control characters but line ends and tabs, what has no width, and what reorders the text around it. */
const HIDDEN =
  /(?![\n\t])[\p{Cc}\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

export const visible = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    .replace(HIDDEN, (character) => `<${character.charCodeAt(0).toString(16).padStart(2, "0")}>`);

/** The same on one line. */
export const visibleLine = (text: string): string => visible(text).replace(/\s+/g, " ").trim();
