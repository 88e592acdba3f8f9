/**
 * What the demo's scripted model does with the demo project: looks around, tries, fails one test, repairs it,
 * publishes. Only the words are scripted; every tool call is carried out by the real agent host. The host runs
 * the calls of one turn at the same time, so whatever builds on an edit stands in a later turn.
 */
import type { Conversation, Script, Turn } from "./model/script.ts";

/** The prompt that the demo's developer sends. */
export const DEMO_PROMPT =
  "Let the report show Fahrenheit when I pass --unit F, add the median, and refuse readings that are not numbers. " +
  "We no longer need our own fixed-width helper.";

/** Said by the review when the developer asks for a revision; see the feedback text of the plugin. */
const REVISION = "asks you to revise";

const PACE = { delayMs: 150, pieceDelayMs: 12 } satisfies Partial<Turn>;

const read = (filePath: string) => ({ tool: "read", args: { filePath } });
const write = (filePath: string, content: string) => ({ tool: "write", args: { filePath, content } });
const edit = (filePath: string, oldString: string, newString: string) => ({
  tool: "edit",
  args: { filePath, oldString, newString },
});
const bash = (command: string, description: string) => ({ tool: "bash", args: { command, description } });
const status = (message: string, state: string) => ({
  tool: "suggestion_status",
  args: { message, status: state },
});

const UNITS = `export type Unit = "C" | "F";

export function isUnit(text: string): text is Unit {
  return text === "C" || text === "F";
}

export function inUnit(celsius: number, unit: Unit): number {
  return unit === "C" ? celsius : (celsius * 9) / 5 + 32;
}

export function degrees(celsius: number, unit: Unit): string {
  return \`\${inUnit(celsius, unit).toFixed(1)} \${unit}\`;
}
`;

const UNITS_TEST = `import { expect, test } from "bun:test";
import { degrees, isUnit } from "../src/units.ts";

test("freezing point in both units", () => {
  expect(degrees(0, "C")).toBe("0.0 C");
  expect(degrees(0, "F")).toBe("32.0 F");
});

test("knows its units", () => {
  expect(isUnit("F")).toBe(true);
  expect(isUnit("K")).toBe(false);
});
`;

const MEDIAN = (sort: string) => `export function median(values: number[]): number {
  const sorted = [...values].${sort};
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
`;

const work: Turn[] = [
  {
    ...PACE,
    text: "I read the project first, then work in small steps and run the tests after each.",
    calls: [
      status("Reading the project", "working"),
      read("README.md"),
      read("src/report.ts"),
      read("src/statistics.ts"),
      read("src/readings.ts"),
      read("src/cli.ts"),
      read("tests/statistics.test.ts"),
      read("tests/report.test.ts"),
    ],
  },
  {
    ...PACE,
    calls: [
      {
        tool: "todowrite",
        args: {
          todos: [
            { id: "1", content: "Median, with a test", status: "in_progress", priority: "high" },
            { id: "2", content: "Units and the --unit option", status: "pending", priority: "high" },
            {
              id: "3",
              content: "Refuse readings that are not numbers",
              status: "pending",
              priority: "medium",
            },
          ],
        },
      },
      bash("bun test", "Run the tests before any change"),
    ],
  },
  {
    ...PACE,
    text: "All green before I start. The median comes first.",
    calls: [
      edit("src/statistics.ts", "  mean: number;\n}\n", "  mean: number;\n  median: number;\n}\n"),
      edit(
        "src/statistics.ts",
        "export function summarize(",
        `${MEDIAN("sort()")}\nexport function summarize(`,
      ),
      edit(
        "src/statistics.ts",
        "    mean: mean(values),\n",
        "    mean: mean(values),\n    median: median(values),\n",
      ),
      edit(
        "tests/statistics.test.ts",
        'import { mean, summarize } from "../src/statistics.ts";\n',
        'import { mean, median, summarize } from "../src/statistics.ts";\n',
      ),
      edit(
        "tests/statistics.test.ts",
        'test("summary of one station"',
        'test("median of an odd and of an even number of values", () => {\n' +
          "  expect(median([9, 10, 2])).toBe(9);\n" +
          "  expect(median([-4, 10, 2, 3])).toBe(2.5);\n" +
          '});\n\ntest("summary of one station"',
      ),
    ],
  },
  {
    ...PACE,
    calls: [status("Running the tests", "testing"), bash("bun test", "Run the tests with the new median")],
  },
  {
    ...PACE,
    text: "The new test fails: sort() without a comparison orders numbers as text, so 10 came before 9. I sort by value.",
    calls: [
      status("One test fails; repairing the order of the values", "working"),
      edit("src/statistics.ts", "[...values].sort()", "[...values].sort((a, b) => a - b)"),
    ],
  },
  { ...PACE, calls: [bash("bun test", "Run the tests again")] },
  {
    ...PACE,
    text: "Now the units and the option.",
    calls: [
      write("src/units.ts", UNITS),
      write("tests/units.test.ts", UNITS_TEST),
      edit("src/report.ts", 'import { fixed } from "./fixed-width.ts";\n', ""),
      edit(
        "src/report.ts",
        'import { summarize } from "./statistics.ts";\n\nconst HEADINGS = ["station", "lowest", "highest", "mean"];\n\n' +
          // biome-ignore lint/suspicious/noTemplateCurlyInString: text of a program, not a template of this one
          "function degrees(celsius: number): string {\n  return `${celsius.toFixed(1)} C`;\n}\n",
        'import { summarize } from "./statistics.ts";\nimport { degrees, type Unit } from "./units.ts";\n\n' +
          'const HEADINGS = ["station", "lowest", "highest", "mean", "median"];\n',
      ),
      edit(
        "src/report.ts",
        "/** A table with one line per station. */\nexport function report(readings: Reading[]): string {\n" +
          '  const lines = [HEADINGS.map((heading) => fixed(heading, 12)).join("")];\n',
        "/** A table with one line per station, in the unit asked for. */\n" +
          'export function report(readings: Reading[], unit: Unit = "C"): string {\n' +
          '  const lines = [HEADINGS.map((heading) => heading.padEnd(12)).join("")];\n',
      ),
      edit(
        "src/report.ts",
        "    const cells = [station, degrees(summary.lowest), degrees(summary.highest), degrees(summary.mean)];\n" +
          '    lines.push(cells.map((cell) => fixed(cell, 12)).join(""));\n',
        "    const { lowest, highest, mean, median } = summary;\n" +
          "    const cells = [station, ...[lowest, highest, mean, median].map((value) => degrees(value, unit))];\n" +
          '    lines.push(cells.map((cell) => cell.padEnd(12)).join(""));\n',
      ),
      edit(
        "src/cli.ts",
        'import { report } from "./report.ts";\n\nconst [path] = process.argv.slice(2);\nif (path === undefined) {\n' +
          '  console.error("usage: bun src/cli.ts <readings.csv>");\n',
        'import { report } from "./report.ts";\nimport { isUnit } from "./units.ts";\n\n' +
          'const [path, option, unit = "C"] = process.argv.slice(2);\n' +
          'if (path === undefined || (option !== undefined && option !== "--unit") || !isUnit(unit)) {\n' +
          '  console.error("usage: bun src/cli.ts <readings.csv> [--unit C|F]");\n',
      ),
      edit(
        "src/cli.ts",
        "console.log(report(parseReadings(await Bun.file(path).text())));",
        "console.log(report(parseReadings(await Bun.file(path).text()), unit));",
      ),
      bash("rm src/fixed-width.ts", "Remove the helper that nothing uses any more"),
    ],
  },
  {
    ...PACE,
    text: "Last, the check of the readings and the words about it.",
    calls: [
      edit(
        "src/readings.ts",
        "    readings.push({ time, station, celsius: Number(celsius) });\n",
        "    const value = Number(celsius);\n" +
          // biome-ignore lint/suspicious/noTemplateCurlyInString: text of a program, not a template of this one
          '    if (celsius.trim() === "" || Number.isNaN(value)) throw new Error(`not a temperature: "${line}"`);\n' +
          "    readings.push({ time, station, celsius: value });\n",
      ),
      edit(
        "README.md",
        "one line per station with its lowest, highest and mean temperature.\n\n    bun src/cli.ts data/april.csv\n",
        "one line per station with its lowest, highest, mean and median\ntemperature.\n\n" +
          "    bun src/cli.ts data/april.csv\n    bun src/cli.ts data/april.csv --unit F\n",
      ),
    ],
  },
  {
    ...PACE,
    calls: [
      status("Running all tests", "testing"),
      bash("bun test", "Run all tests"),
      bash("bun src/cli.ts data/april.csv --unit F", "See the report as a user would"),
    ],
  },
  {
    ...PACE,
    calls: [
      {
        tool: "publish_suggestion",
        args: { description: "Report in Fahrenheit, with the median; refuse readings that are not numbers" },
      },
    ],
  },
  {
    ...PACE,
    text:
      "The suggestion is ready for your review: --unit F, the median (my first try sorted numbers as text, a test " +
      "caught it), and a clear error for readings that are not numbers. The fixed-width helper is gone.",
  },
];

const revision: Turn[] = [
  {
    ...PACE,
    text: "I have read your decisions and leave out what you rejected. One thing I can add: a test of the refusal.",
    calls: [
      status("Working on your feedback", "working"),
      write(
        "tests/refusal.test.ts",
        'import { expect, test } from "bun:test";\nimport { parseReadings } from "../src/readings.ts";\n\n' +
          'test("a reading that is a number is taken as it is", () => {\n' +
          '  expect(parseReadings("t1,Harbour,-3.5")[0]?.celsius).toBe(-3.5);\n});\n',
      ),
    ],
  },
  {
    ...PACE,
    calls: [bash("bun test tests/readings.test.ts tests/refusal.test.ts", "Run the tests of the readings")],
  },
  { ...PACE, calls: [bash("jj squash", "Move the new test into the change under review")] },
  {
    ...PACE,
    calls: [
      {
        tool: "publish_suggestion",
        args: { description: "Report in Fahrenheit, with the median; refuse readings that are not numbers" },
      },
    ],
  },
  { ...PACE, text: "The revised suggestion is ready. What you decided before still stands." },
];

export function demoScript(): Script {
  const conversations: Conversation[] = [
    { when: REVISION, turns: revision },
    // The prompt itself: what is told of a decision may quote "--unit F", and would have the work done a second time.
    { when: "^Let the report show Fahrenheit", turns: work },
  ];
  return {
    title: "Fahrenheit and median for the station report",
    conversations,
    otherwise: {
      ...PACE,
      text:
        "I am the demo's scripted model and know only this one task. Start with your own repository " +
        "(npm start -- <path>) to work with a real model.",
    },
  };
}
