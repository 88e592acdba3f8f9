/** Builds git trees from plain maps, byte for byte, without a working copy: what generated tests stand on. */
import { rmSync } from "node:fs";
import { concat, utf8 } from "../../src/diff/bytes.ts";
import { quotePath, type RawPath } from "../../src/diff/paths.ts";
import { EMPTY_TREE, type Git, openBare } from "../../src/vcs/git.ts";
import { temporaryDirectory } from "./place.ts";

export interface File {
  mode: "100644" | "100755" | "120000" | "160000";
  /** Content as one code point per byte; for a submodule the commit id. */
  text: string;
}

export type Tree = ReadonlyMap<RawPath, File>;

export const file = (text: string, mode: File["mode"] = "100644"): File => ({ mode, text });
export const executable = (text: string): File => file(text, "100755");
export const symlink = (target: string): File => file(target, "120000");
export const submodule = (digit: string): File => file(digit.repeat(40), "160000");

export const tree = (files: Record<string, File | string>): Tree =>
  new Map(
    Object.entries(files).map(([path, value]) => [path, typeof value === "string" ? file(value) : value]),
  );

export interface Made {
  commit: string;
  tree: string;
}

export interface TreeStore {
  git: Git;
  /** Writes each tree as a commit on the one at `parent`, in one process. */
  write(trees: Tree[], parent?: (index: number) => number | null): Promise<Made[]>;
  remove(): void;
}

export async function treeStore(): Promise<TreeStore> {
  const dir = temporaryDirectory("trees");
  const git = await openBare(`${dir}/hub.git`);
  return {
    git,
    remove: () => rmSync(dir, { recursive: true, force: true }),
    write: (trees, parent = () => null) => write(git, trees, parent),
  };
}

async function write(git: Git, trees: Tree[], parent: (index: number) => number | null): Promise<Made[]> {
  const parts: Uint8Array[] = [utf8("feature done\nfeature get-mark\nfeature ls\n")];
  const say = (text: string) => parts.push(utf8(text));
  trees.forEach((files, index) => {
    say(`reset refs/heads/made-${index}\ncommit refs/heads/made-${index}\nmark :${index + 1}\n`);
    say(`committer Test <test@example.org> ${1_700_000_000 + index} +0000\ndata 0\n`);
    const from = parent(index);
    if (from !== null) say(`from :${from + 1}\n`);
    say("deleteall\n");
    for (const [path, { mode, text }] of files) {
      if (mode === "160000") {
        say(`M ${mode} ${text} ${quotePath(path)}\n`);
        continue;
      }
      say(`M ${mode} inline ${quotePath(path)}\ndata ${text.length}\n`);
      parts.push(Buffer.from(text, "latin1"), utf8("\n"));
    }
    say(`\nget-mark :${index + 1}\nls :${index + 1} ""\n`);
  });
  say("done\n");
  const said = await git.text(["fast-import", "--quiet", "--force", "--done", "--date-format=raw"], {
    input: concat(parts),
  });
  const lines = said.split("\n");
  return trees.map((_, index) => ({
    commit: lines[2 * index] ?? "",
    tree: /^040000 tree ([0-9a-f]+)/.exec(lines[2 * index + 1] ?? "")?.[1] ?? EMPTY_TREE,
  }));
}

/** Lines with their ends; the last one may lack it. */
export const linesOf = (text: string): string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
