/** Text cut or filled with blanks to exactly `width` characters. */
export function fixed(text: string, width: number): string {
  let padded = text;
  while (padded.length < width) padded = `${padded} `;
  return padded.slice(0, width);
}
