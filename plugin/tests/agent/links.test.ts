/** Links that lead a file tool out of the repository. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refuseLinksOut } from "../../src/agent/links.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "links-")));
const tree = join(root, "tree");
mkdirSync(join(tree, "sub"), { recursive: true });
mkdirSync(join(root, "outside"));
writeFileSync(join(tree, "file"), "x");
writeFileSync(join(root, "outside/file"), "x");
symlinkSync("../outside/file", join(tree, "link"));
symlinkSync("../outside", join(tree, "folder"));
symlinkSync("../outside/not-there", join(tree, "dangling"));
symlinkSync("dangling", join(tree, "twice"));
symlinkSync("file", join(tree, "within"));
symlinkSync("nowhere", join(tree, "dangling-within"));
symlinkSync("round", join(tree, "round"));
symlinkSync(tree, join(root, "other-name"));
afterAll(() => rmSync(root, { recursive: true }));

const isRefused = (tool: string, args: unknown, directory = tree, worktree = tree): boolean => {
  try {
    refuseLinksOut(tool, args, directory, worktree);
    return false;
  } catch (error) {
    expect((error as Error).message).toContain("leads out of the repository");
    return true;
  }
};

describe("a path of a file tool", () => {
  for (const path of ["link", "folder/file", "folder/new", "folder", "dangling", "twice", "sub/../link"]) {
    test(`is refused: ${path}`, () => {
      expect(isRefused("read", { filePath: path })).toBe(true);
      expect(isRefused("write", { filePath: join(tree, path), content: "" })).toBe(true);
      expect(isRefused("grep", { pattern: "x", path })).toBe(true);
      expect(isRefused("read", { filePath: path }, join(root, "other-name"), join(root, "other-name"))).toBe(
        true,
      );
      const patch = `*** Begin Patch\n*** Add File: a\n+a\n*** Update File: ${path}\n*** End Patch`;
      expect(isRefused("apply_patch", { patchText: patch })).toBe(true);
      expect(isRefused("apply_patch", { patchText: patch.replace("Update File", "Move to") })).toBe(true);
    });
  }
  for (const path of [
    "file",
    "new",
    "sub/new",
    "within",
    "dangling-within",
    "no/such/folder",
    ".",
    "round",
  ]) {
    test(`is let through: ${path}`, () => {
      expect(isRefused("read", { filePath: path })).toBe(false);
      expect(isRefused("edit", { filePath: join(tree, path) })).toBe(false);
    });
  }
  test("is the host's to refuse when it is outside by its name", () => {
    expect(isRefused("read", { filePath: join(root, "outside/file") })).toBe(false);
    expect(isRefused("bash", { command: "cat link" })).toBe(false);
    expect(isRefused("read", undefined)).toBe(false);
  });
});
