/** The house in layers: a file imports from its own layer and from those above it in this list, in whatever form. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { circles, type Import, importsOf, readSources } from "./support/imports.ts";

/** `folder/*`: the files in it; `folder/**`: all below it. One line is one layer. */
const LAYERS: readonly (readonly string[])[] = [
  ["plugin/src/protocol/**"],
  ["plugin/src/diff/**"],
  ["plugin/src/vcs/**"],
  // Settings: read by whoever opens a desk or a server.
  ["version", "jsonc", "options", "config", "settings-file", "confinement"].map(
    (name) => `plugin/src/${name}.ts`,
  ),
  ["plugin/src/review/ledger/**"],
  ["plugin/src/review/tell/**"],
  ["plugin/src/review/publish/**"],
  ["plugin/src/review/decide/**"],
  ["plugin/src/review/finish/**"],
  ["plugin/src/review/*"],
  ["plugin/src/agent/**"],
  ["plugin/src/server/tokens/**"],
  // What all doors share; the four that put them together are below the doors.
  ["plugin/src/server/*"],
  ["plugin/src/server/http/**"],
  ["plugin/src/server/socket/**"],
  ["plugin/src/server/git/**"],
  ["plugin/src/server/mcp/**"],
  ["plugin/src/server/documents/**"],
  ["routes", "http-door", "port", "server"].map((name) => `plugin/src/server/${name}.ts`),
  ["index", "serve", "process"].map((name) => `plugin/src/${name}.ts`),
  ["sandbox/**"],
  ["demo/**"],
  ["scripts/**"],
  ["test-harness/**"],
  ["plugin/bench/**"],
  ["plugin/tests/**"],
  ["docs/**"],
];

const ROOT = join(import.meta.dir, "../..");
const FOLDERS = ["plugin", "sandbox", "demo", "scripts", "test-harness", "docs"];
/** What is installed, what is built, the project of the demo, and clients generated for a test. */
const LEFT_OUT = /(?:^|\/)(?:node_modules|dist|generated-clients)\/|^demo\/project\//;

/** How closely a pattern names a file: 0 for not at all. A file's own name counts more than its folder's. */
function closeness(pattern: string, file: string): number {
  if (pattern === file) return Number.POSITIVE_INFINITY;
  const [, folder, stars] = /^(.*\/)(\*\*?)$/.exec(pattern) ?? [];
  if (folder === undefined || !file.startsWith(folder)) return 0;
  return stars === "*" && file.slice(folder.length).includes("/") ? 0 : folder.length;
}

function layerOf(file: string): number {
  const near = LAYERS.map((patterns) => Math.max(...patterns.map((one) => closeness(one, file))));
  const nearest = Math.max(...near);
  return nearest === 0 ? -1 : near.indexOf(nearest);
}

const sentence = ({ from, line, to }: Import): string => `${from}:${line} imports ${to}`;
const upward = (imports: readonly Import[]): string[] =>
  imports.filter(({ from, to }) => layerOf(to) > layerOf(from)).map(sentence);
const circular = (imports: readonly Import[]): string[][] => circles(imports).map((one) => one.map(sentence));

describe("layers", () => {
  const sources = readSources(ROOT, FOLDERS, LEFT_OUT);
  const imports = importsOf(sources);

  test("every file is in one, and every line of the list has files", () => {
    expect([...sources.keys()].filter((file) => layerOf(file) < 0)).toEqual([]);
    const used = new Set([...sources.keys()].map(layerOf));
    expect(LAYERS.filter((_, index) => !used.has(index))).toEqual([]);
    // What reads nothing finds nothing.
    expect(sources.size).toBeGreaterThan(250);
    expect(imports.length).toBeGreaterThan(800);
  });

  test("no file imports from a layer below its own", () => {
    expect(upward(imports)).toEqual([]);
  });

  test("no files import each other in a circle, types included", () => {
    expect(circular(imports)).toEqual([]);
  });
});

describe("the test of the layers", () => {
  const LOW = "plugin/src/diff/planted.ts";
  const HIGH = "plugin/src/review/desk.ts";
  const forms: [string, string, string][] = [
    ["of values", LOW, 'import { Desk } from "../review/desk.ts";'],
    ["of types", LOW, 'import type { Desk } from "../review/desk.ts";'],
    ["for its effects", LOW, 'import "../review/desk.ts";'],
    ["exported again", LOW, 'export * from "../review/desk.ts";'],
    ["at run time", LOW, 'export const late = () => import("../review/desk.ts");'],
    ["of a type in its place", LOW, 'export type Late = import("../review/desk.ts").Desk;'],
    [
      "in a comment of JavaScript",
      LOW.replace(".ts", ".mjs"),
      '/** @type {import("../review/desk.ts").Desk} */',
    ],
  ];
  for (const [what, low, text] of forms) {
    test(`finds an import ${what}, by file and line`, () => {
      const planted = importsOf(
        new Map([
          [low, `// first line\n${text}\n`],
          [HIGH, "export class Desk {}\n"],
        ]),
      );
      expect(upward(planted)).toEqual([`${low}:2 imports ${HIGH}`]);
      expect(circular(planted)).toEqual([]);
    });
  }

  test("finds a circle of types within one layer", () => {
    const planted = importsOf(
      new Map([
        ["plugin/src/diff/a.ts", 'import type { B } from "./b.ts";\n'],
        ["plugin/src/diff/b.ts", '\nexport { c } from "./c.ts";\n'],
        ["plugin/src/diff/c.ts", 'import type { A } from "./a.ts";\nimport { gone } from "./gone.ts";\n'],
      ]),
    );
    expect(upward(planted)).toEqual([]);
    expect(circular(planted)).toEqual([
      [
        "plugin/src/diff/a.ts:1 imports plugin/src/diff/b.ts",
        "plugin/src/diff/b.ts:2 imports plugin/src/diff/c.ts",
        "plugin/src/diff/c.ts:1 imports plugin/src/diff/a.ts",
      ],
    ]);
  });

  test("knows a file without a layer, and a file's own line before its folder's", () => {
    expect(layerOf("plugin/src/surprise/a.ts")).toBe(-1);
    expect(layerOf("plugin/src/review/surprise/a.ts")).toBe(-1);
    expect(layerOf("plugin/src/server/routes.ts")).toBeGreaterThan(
      layerOf("plugin/src/server/http/match.ts"),
    );
    expect(layerOf("plugin/src/server/route.ts")).toBeLessThan(layerOf("plugin/src/server/http/match.ts"));
  });
});
