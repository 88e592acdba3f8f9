/** What a call is called where it is named in one line, and whether it looks like a run of tests. Pure. */
import { relative } from "node:path";

const MOST_SUMMARY = 200;

/** Runners by their own names, and what scripts and make call them. */
const RUNNERS =
  /^(?:\S*\/)?(?:pytest|py\.test|jest|vitest|mocha|ava|karma|rspec|phpunit|ctest|tox|nox|nextest|busted)$/;
const WITH_TEST =
  /^(?:\S*\/)?(?:npm|pnpm|yarn|bun|deno|cargo|go|dotnet|mix|gradle|gradlew|mvn|mvnw|make|just|node|swift|zig|bazel|rake|flutter|dart|composer|meson|stack|cabal|sbt)$/;
/** What may stand before a runner. */
const BEFORE =
  /^(?:\w+=\S*|env|time|timeout|nice|npx|bunx|exec|sudo|uv|poetry|pipenv|bundle|python[\d.]*|-\S+|\d+[smh]?|run)$/;

/** Whether a command line has a run of tests in it, by the names that such runs go by. */
export function isTestRun(command: unknown): boolean {
  if (typeof command !== "string") return false;
  return command.split(/&&|\|\||[;|\n]/).some((part) => {
    const words = part.trim().split(/\s+/);
    while (words.length > 1 && BEFORE.test(words[0] ?? "") && !WITH_TEST.test(words[0] ?? "")) words.shift();
    const [first = "", ...rest] = words;
    if (RUNNERS.test(first)) return true;
    if (/(?:^|\/)(?:run[-_]?)?tests?(?:\.(?:sh|py|js|mjs|ts))?$/.test(first) && first !== "test") return true;
    if (/^(?:sh|bash)$/.test(first)) return /(?:^|\/)(?:run[-_]?)?tests?(?:\.sh)?$/.test(rest[0] ?? "");
    if (first === "unittest") return true;
    if (!WITH_TEST.test(first)) return false;
    return rest.some((word) => /^(?:--)?(?:tests?|t|check|verify)(?::\S*)?$/.test(word));
  });
}

/** @param project what its paths are shown relative to */
export function summaryOf(
  { arguments: given }: { arguments: Record<string, unknown> },
  project: string,
): string {
  const said = (): string => {
    if (typeof given.command === "string") return given.command;
    if (typeof given.filePath === "string") {
      const inside = relative(project, given.filePath);
      return inside.startsWith("..") ? given.filePath : inside;
    }
    if (typeof given.patchText === "string") {
      const files = given.patchText.matchAll(/^\*\*\* (?:Add|Update|Delete) File: (.*)$/gm);
      return [...files].map(([, path = ""]) => path.trim()).join(", ");
    }
    return JSON.stringify(given);
  };
  const [line = "", ...more] = said().trim().split("\n");
  const cut = line.length > MOST_SUMMARY ? line.slice(0, MOST_SUMMARY).replace(/[\ud800-\udbff]$/, "") : line;
  return cut.length < line.length || more.length > 0 ? `${cut} …` : cut;
}
