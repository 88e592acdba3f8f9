/**
 * What a slash command says, as the host puts it together. The host would run what stands between !` and ` in a shell, and
 * attach the files that follow an @, without asking anybody: both are left to the agent's own tools, which ask. Pure.
 */

/** `$1`, `$2`, … */
const PLACES = /\$(\d+)/g;
const ALL = "$ARGUMENTS";
/** A word, or several in quotes. */
const WORDS = /"[^"]*"|'[^']*'|[^\s"']+/g;
const SHELL = /!`[^`]+`/;

export const takesArguments = (template: string): boolean =>
  template.includes(ALL) || template.search(PLACES) >= 0;

/** Whether the host would run something of it by itself. */
export const runsShell = (template: string): boolean => SHELL.test(template);

/**
 * The last of the numbered places takes all words that are left. Arguments for which the text has no place stand at its
 * end.
 */
export function slashText(template: string, given: string): string {
  const words = (given.match(WORDS) ?? []).map((word) => word.replace(/^["']|["']$/g, ""));
  const last = Math.max(0, ...[...template.matchAll(PLACES)].map(([, place]) => Number(place)));
  const filled = template.replace(/\$(?:(\d+)|ARGUMENTS)/g, (_, place: string | undefined) => {
    if (place === undefined) return given;
    const at = Number(place) - 1;
    return (at + 1 === last ? words.slice(Math.max(0, at)).join(" ") : words[at]) ?? "";
  });
  const rest = takesArguments(template) || given.trim() === "" ? "" : `\n\n${given}`;
  return (filled + rest).trim();
}
