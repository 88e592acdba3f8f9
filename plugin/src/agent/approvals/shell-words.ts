/**
 * The commands of a shell's line, as far as they can be told apart without a shell: a simple line's parts are exact, and
 * of any other one nothing is said. Pure.
 */

/** What makes of words more than words: whoever reads on here would have to be a shell. */
const BEYOND = /[`(){}]|\$\(|\$\{|<<|^\s*#|\s#/;
const KEYWORDS = new Set(
  "if then else elif fi for while until do done case esac select function time coproc ! [[".split(" "),
);
const SEPARATORS = ["&&", "||", "|&", ";", "|", "\n", "&"];

/** The commands of a line, each with its redirections; null where that is not certain. */
export function commandsOf(line: string): string[] | null {
  const parts: string[] = [];
  let part = "";
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (quote !== "") {
      // In double quotes the shell still puts commands in.
      if (quote === '"' && (char === "`" || char === "$" || char === "\\")) return null;
      if (char === quote) quote = "";
      part += char;
      continue;
    }
    if (char === "\\") return null;
    if (char === "'" || char === '"') quote = char;
    // Of a redirection: `2>&1`, `&>file`.
    const redirects = char === "&" && (part.endsWith(">") || line[at + 1] === ">");
    const separator = redirects ? undefined : SEPARATORS.find((one) => line.startsWith(one, at));
    if (separator === undefined) {
      part += char;
      continue;
    }
    parts.push(part.trim());
    part = "";
    at += separator.length - 1;
  }
  if (quote !== "") return null;
  parts.push(part.trim());
  const commands = parts.filter((one) => one !== "");
  const unclear = commands.some((one) => {
    const bare = one.replace(/'[^']*'|"[^"]*"/g, "''");
    return BEYOND.test(bare) || KEYWORDS.has(one.split(/\s/, 1)[0] as string);
  });
  return unclear || commands.length === 0 ? null : commands;
}

/** The words of one such command, without quotes and redirections. */
export function wordsOf(command: string): string[] {
  const words = command.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  const kept: string[] = [];
  let target = false;
  for (const word of words) {
    const redirection = /^(?:\d*|&)[<>]/.exec(word);
    if (redirection !== null) target = /[<>]$/.test(word);
    else if (target) target = false;
    else kept.push(word.replace(/'([^']*)'|"([^"]*)"/g, "$1$2"));
  }
  return kept;
}

/** Whether more than the text itself fits it, where it is taken for a pattern. */
export const isPattern = (text: string): boolean => /[*?]/.test(text);

/** Programs whose first words say what they do. */
const DEEP: Record<string, number> = {
  ...Object.fromEntries(
    "git jj npm npx pnpm yarn bun deno cargo go docker podman kubectl make pip systemctl"
      .split(" ")
      .map((one) => [one, 2]),
  ),
  "npm run": 3,
  "pnpm run": 3,
  "yarn run": 3,
  "bun run": 3,
  "docker compose": 3,
};

/**
 * A pattern for commands of the same kind. One that begins with an assignment or a quoted word is its own kind; null where
 * the command's own words would be read as wildcards, and let others pass.
 */
export function kindOf(command: string): string | null {
  const words = command.split(/\s+/);
  const plain = (word: string | undefined) => word !== undefined && /^[\w./:@+-]+$/.test(word);
  let depth = 1;
  for (let next = 1; next <= 2; next++) depth = Math.max(depth, DEEP[words.slice(0, next).join(" ")] ?? 1);
  depth = Math.min(depth, words.length);
  return words.slice(0, depth).every(plain)
    ? `${words.slice(0, depth).join(" ")} *`
    : isPattern(command)
      ? null
      : command;
}
