/** What a reviewer is told of a hunk without lines: where a link leads, which object, how big. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { hunkDigest } from "../../src/diff/digest.ts";
import { Hunk } from "../../src/protocol/model.ts";
import { toHunk } from "../../src/review/ledger/hunk-rows.ts";
import { LowDesk } from "../support/low-desk.ts";
import { file, submodule, symlink, tree } from "../support/trees.ts";

setDefaultTimeout(60_000);

let desk: LowDesk;
beforeAll(async () => {
  desk = await LowDesk.open();
});
afterAll(() => desk.close());

const shown = async (before: Parameters<typeof tree>[0], after: Parameters<typeof tree>[0]) =>
  desk.hunks((await desk.publish(tree(before), tree(after))).id).map((row) => Hunk.parse(toHunk(row)));

const side = (one: { mode: string; oid: string } | undefined) =>
  Buffer.from(one === undefined ? "" : `${one.mode} ${one.oid}`);

test("B2: a symbolic link hunk says where it leads, before and after, in bytes if need be", async () => {
  const [changed, made] = await shown(
    { keep: "x\n", link: symlink("old/place") },
    { keep: "x\n", link: symlink("/etc/passwd"), odd: symlink("caf\xe9") },
  );
  expect(changed).toMatchObject({
    kind: "symlink",
    before: [{ file: "link", mode: "120000", size: 9, target: "old/place" }],
    after: [{ file: "link", mode: "120000", size: 11, target: "/etc/passwd" }],
  });
  expect(made).toMatchObject({ kind: "create", before: [], after: [{ target_b64: "Y2Fm6Q==" }] });
  // What is told is what the digest names.
  for (const hunk of [changed, made]) {
    expect(
      hunkDigest(hunk?.kind ?? "text", hunk?.file ?? "", side(hunk?.before?.[0]), side(hunk?.after?.[0])),
    ).toBe(hunk?.digest ?? "");
  }
});

test("B8: binary and submodule hunks say object ids and sizes, a swap all its files", async () => {
  const from = "1".repeat(40);
  const to = "2".repeat(40);
  const [binary, sub, swap] = await shown(
    { "a.bin": "\0one", sub: submodule("1"), thing: "file\n" },
    { "a.bin": "\0two!", sub: submodule("2"), "thing/inner": file("inside\n") },
  );
  expect(binary).toMatchObject({ kind: "binary", before: [{ size: 4 }], after: [{ size: 5 }] });
  expect(binary?.after?.[0]?.oid).toMatch(/^[0-9a-f]{40}$/);
  expect(sub).toMatchObject({ kind: "submodule", before: [{ oid: from }], after: [{ oid: to }] });
  expect(sub?.after?.[0]).not.toHaveProperty("size");
  expect(swap).toMatchObject({
    kind: "swap",
    before: [{ file: "thing", size: 5 }],
    after: [{ file: "thing/inner", size: 7 }],
  });
});

test("B8: lines need no sides", async () => {
  const [text] = await shown({ a: "1\n" }, { a: "2\n" });
  expect(text).not.toHaveProperty("before");
});
