/** Handing a commit to a shared repository, and writing trees: only git, no ledger, no jj. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { openBare, ZERO } from "../../src/vcs/git.ts";
import { run } from "../../src/vcs/run.ts";
import { ontoBranch, push, remoteTips, slug } from "../../src/vcs/sync.ts";
import { writeChange } from "../../src/vcs/trees.ts";
import { temporaryDirectory } from "../support/place.ts";
import { type Made, symlink, type TreeStore, tree, treeStore } from "../support/trees.ts";

setDefaultTimeout(60_000);

let store: TreeStore;
let base: Made;
let ours: Made;
let theirs: Made;
let clashing: Made;
beforeAll(async () => {
  store = await treeStore();
  const trees = [
    tree({ a: "1\n2\n3\n4\n5\n6\n7\n8\n" }),
    tree({ a: "one\n2\n3\n4\n5\n6\n7\n8\n" }),
    tree({ a: "1\n2\n3\n4\n5\n6\n7\neight\n" }),
    tree({ a: "uno\n2\n3\n4\n5\n6\n7\n8\n" }),
  ];
  [base, ours, theirs, clashing] = (await store.write(trees, (index) => (index === 0 ? null : 0))) as [
    Made,
    Made,
    Made,
    Made,
  ];
});
afterAll(() => store.remove());

const refused = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "done";
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
};
const identity = "A <a@example.org> 1750000000 +0000";
const options = { ref: "refs/review/x/final", message: "x\n", author: identity, committer: identity };

describe("a push into the hub", () => {
  test("makes a ref only where there is none", async () => {
    await push(store.git, null, { commit: ours.commit, ref: "refs/heads/new", expected: ZERO });
    expect(await store.git.resolve("refs/heads/new")).toBe(ours.commit);
    expect(
      await refused(push(store.git, null, { commit: theirs.commit, ref: "refs/heads/new", expected: ZERO })),
    ).toBe("push_rejected");
  });
  test("moves a ref only from where it was thought to be", async () => {
    await store.git.setRef("refs/heads/moving", base.commit);
    expect(
      await refused(
        push(store.git, null, { commit: ours.commit, ref: "refs/heads/moving", expected: theirs.commit }),
      ),
    ).toBe("push_rejected");
    expect(await store.git.resolve("refs/heads/moving")).toBe(base.commit);
    await push(store.git, null, { commit: ours.commit, ref: "refs/heads/moving", expected: base.commit });
  });
  test("that was done before is done", async () => {
    await store.git.setRef("refs/heads/again", ours.commit);
    await push(store.git, null, { commit: ours.commit, ref: "refs/heads/again", expected: ZERO });
  });
});

describe("a push into a repository of its own", () => {
  test("is as careful", async () => {
    const remote = await openBare(join(temporaryDirectory("remote"), "remote é.git"));
    await push(store.git, remote.dir, { commit: ours.commit, ref: "refs/heads/x", expected: ZERO });
    expect(await remote.resolve("refs/heads/x")).toBe(ours.commit);
    expect(await store.git.resolve("refs/heads/x")).toBe(ours.commit);
    expect(
      await refused(
        push(store.git, remote.dir, { commit: theirs.commit, ref: "refs/heads/x", expected: ZERO }),
      ),
    ).toBe("push_rejected");
    // Done before, and the hub stopped before it followed.
    await store.git.deleteRef("refs/heads/x");
    await push(store.git, remote.dir, { commit: ours.commit, ref: "refs/heads/x", expected: ZERO });
    expect(await store.git.resolve("refs/heads/x")).toBe(ours.commit);
    await push(store.git, remote.dir, { commit: theirs.commit, ref: "refs/heads/x", expected: ours.commit });
    expect(await remoteTips(store.git, remote.dir, ["refs/heads/x"])).toEqual([theirs.commit]);
  });
  test("learns of commits it does not have", async () => {
    const other = await treeStore();
    const [made] = await other.write([tree({ new: "elsewhere\n" })]);
    const tips = await remoteTips(store.git, other.git.dir, ["refs/heads/none", "refs/heads/made-0"]);
    expect(tips).toEqual([null, made?.commit as string]);
    expect(await store.git.resolve(`${made?.commit}^{tree}`)).toBe(made?.tree as string);
    other.remove();
  });
  test("that is not there is an error with git's own words", async () => {
    expect(
      await refused(
        push(store.git, "/nowhere.git", { commit: ours.commit, ref: "refs/heads/x", expected: ZERO }),
      ),
    ).toBe("push_rejected");
  });
});

describe("an accepted commit", () => {
  test("stays where the shared branch is still its base, or unrelated", async () => {
    for (const tip of [null, base.commit, ours.commit]) {
      const on = tip === ours.commit ? theirs.commit : base.commit;
      expect(await ontoBranch(store.git, ours, on, tip, options)).toEqual({
        commit: ours.commit,
        base: on,
        tree: ours.tree,
      });
    }
  });
  test("goes onto a branch that changed other lines", async () => {
    const prepared = await ontoBranch(store.git, ours, base.commit, theirs.commit, options);
    expect(prepared.base).toBe(theirs.commit);
    expect(await store.git.text(["show", `${prepared.commit}:a`])).toBe("one\n2\n3\n4\n5\n6\n7\neight");
    expect(await store.git.text(["rev-parse", `${prepared.commit}^`])).toBe(theirs.commit);
  });
  test("is not made where the same lines changed, or nothing is left of it", async () => {
    expect(await refused(ontoBranch(store.git, ours, base.commit, clashing.commit, options))).toBe(
      "merge_conflict",
    );
    expect(await refused(ontoBranch(store.git, ours, base.commit, ours.commit, options))).toBe(
      "nothing_to_do",
    );
  });
});

describe("a tree", () => {
  test("may hold names that git itself is wary of", async () => {
    const names = ["git~1", ".gitmodules", "a\\.git", ".git ", "x/.gitignore", "aux.txt", "a:b"];
    const [blob] = await store.write([tree({ a: "blob\n" })]);
    const oid = (await store.git.resolve(`${blob?.tree}:a`)) as string;
    const files = names.map((path) => ({ path, mode: "100644", oid }));
    const written = await writeChange(
      store.git,
      ZERO,
      { removed: [], files },
      { ref: "refs/review/odd", parent: ZERO, message: "" },
    );
    const { stdout } = await store.git.run(["ls-tree", "-r", "-z", "--name-only", written.tree]);
    expect(Buffer.from(stdout).toString().split("\0").filter(Boolean).sort()).toEqual([...names].sort());
  });
  test("may be a link named like a file of git's", async () => {
    const [made] = await store.write([tree({ ".gitattributes": symlink("a") })]);
    expect(made?.tree).toHaveLength(40);
  });
  test("of nothing is the empty tree", async () => {
    const options = { ref: "refs/review/empty", parent: base.commit, message: "" };
    const written = await writeChange(store.git, base.commit, { removed: ["a"], files: [] }, options);
    expect(written.tree).toBe("4b825dc642cb6eb9a060e54bf8d69288fbee4904");
  });
});

describe("a bookmark's name", () => {
  const names: [string, string][] = [
    ["Add validation", "add-validation"],
    ["Füge Prüfung hinzu!\nlong text", "fuge-prufung-hinzu"],
    ["../../etc/passwd.lock", "etc-passwd-lock"],
    ["日本語", "suggestion"],
    ["", "suggestion"],
    ["-", "suggestion"],
    [`${"word ".repeat(30)}`, "word-word-word-word-word-word-word-word"],
  ];
  for (const [description, name] of names) {
    test(JSON.stringify(description.slice(0, 30)), async () => {
      expect(slug(description)).toBe(name);
      await run("git", ["check-ref-format", `refs/heads/suggestions/${slug(description)}`]);
    });
  }
});

describe("another program", () => {
  test("that fails says so in its own words", async () => {
    expect(run("git", ["no-such-command"])).rejects.toThrow("is not a git command");
  });
  test("that is not there is named", async () => {
    expect(run("no-such-program", [])).rejects.toThrow("no-such-program could not be run");
  });
  test("that hangs is ended", async () => {
    expect(run("sleep", ["60"], { timeout: 200 })).rejects.toThrow("did not end in time");
  });
});
