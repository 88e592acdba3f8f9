/** Who imports whom among source files, for tests of the layers: read by the compiler's parser, nothing is run. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import ts from "typescript";

export interface Import {
  from: string;
  line: number;
  to: string;
}

/** Paths below `root` with `/`, each with its text. */
export type Sources = ReadonlyMap<string, string>;

/** @param leftOut folders that are none of ours, or whose files are data */
export function readSources(root: string, folders: readonly string[], leftOut: RegExp): Sources {
  const paths = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((name) => posix.join(folder, name.replaceAll("\\", "/")))
      .filter((path) => /\.m?[tj]s$/.test(path) && !leftOut.test(path)),
  );
  return new Map(paths.sort().map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

/** Relative imports of any form that lead to another of the sources: of values, of types, again exported, at run time. */
export function importsOf(sources: Sources): Import[] {
  return [...sources].flatMap(([from, text]) =>
    specifiers(from, text).flatMap(({ specifier, at }) => {
      if (!specifier.startsWith(".")) return [];
      const to = posix.join(posix.dirname(from), specifier);
      return sources.has(to) ? [{ from, line: text.slice(0, at).split("\n").length, to }] : [];
    }),
  );
}

function specifiers(path: string, text: string): { specifier: string; at: number }[] {
  const found: { specifier: string; at: number }[] = [];
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const add = (node: ts.Node | undefined) => {
    if (node !== undefined && ts.isStringLiteralLike(node))
      found.push({ specifier: node.text, at: node.getStart(file) });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0]);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal);
    ts.forEachChild(node, visit);
  };
  visit(file);
  // The types of a JavaScript file stand in its comments, which are no nodes of the tree.
  if (/\.m?js$/.test(path)) {
    for (const comment of text.matchAll(/\/\*\*.*?\*\//gs))
      for (const { 1: specifier = "", index } of comment[0].matchAll(/\bimport\("([^"]+)"\)/g))
        found.push({ specifier, at: comment.index + index });
  }
  return found;
}

/**
 * Circles of files, each as the imports that close it. One for each file that closes any, so that all are gone when
 * none is left.
 */
export function circles(imports: readonly Import[]): Import[][] {
  const out = Map.groupBy(imports, ({ from }) => from);
  const done = new Set<string>();
  const found: Import[][] = [];
  const walk = (file: string, path: Import[]): void => {
    const start = path.findIndex(({ from }) => from === file);
    if (start >= 0) {
      found.push(path.slice(start));
      return;
    }
    if (done.has(file)) return;
    for (const one of out.get(file) ?? []) walk(one.to, [...path, one]);
    done.add(file);
  };
  for (const file of out.keys()) walk(file, []);
  return found;
}
