/** The file of refusals: bounded, and nothing uncounted. */
import { afterAll, beforeEach, expect, test } from "bun:test";
import { appendFileSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { parseRefusal, RefusalLog, readRefusals } from "../../../sandbox/refusals.ts";
import { Scene } from "../../support/scene.ts";

const scene = new Scene("refusals");
const path = scene.path("refusals.jsonl");
let now = 1_000_000;
const make = () => new RefusalLog(path, "run-1", () => now);
const refused = (host: string, call?: string) => ({
  door: "command",
  host,
  port: 443,
  reason: "not-allowed",
  ...(call === undefined ? {} : { call }),
});

beforeEach(() => {
  rmSync(path, { force: true });
  rmSync(`${path}.1`, { force: true });
});
afterAll(() => scene.close());

test("the first is written at once, whole, in a file that is the developer's alone", () => {
  make().add({ ...refused("a.example"), program: "curl/8" });
  expect(readRefusals(path)).toEqual([
    {
      ...{
        ts: new Date(now).toISOString(),
        kind: "network",
        run: "run-1",
        total: 1,
        count: 1,
        door: "command",
      },
      ...{ host: "a.example", port: 443, reason: "not-allowed", program: "curl/8" },
    },
  ]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("what repeats is one more line with a count", () => {
  const log = make();
  for (let n = 0; n < 50; n++) log.add(refused("a.example"));
  expect(readRefusals(path).length).toBe(1);
  now += 11_000;
  log.flush();
  expect(readRefusals(path).map(({ count, total }) => [count, total])).toEqual([
    [1, 1],
    [49, 50],
  ]);
});

test("at the end nothing is left uncounted", () => {
  const log = make();
  for (const host of ["a.example", "b.example", "a.example"]) log.add(refused(host));
  log.flush(true);
  expect(readRefusals(path).reduce((sum, { count }) => sum + count, 0)).toBe(3);
});

test("a flood of names is counted, and the file stays small", () => {
  const log = make();
  for (let n = 0; n < 20_000; n++) log.add(refused(`n${n}.${"x".repeat(260)}.example`));
  const lines = readRefusals(path);
  expect(lines.length).toBeLessThanOrEqual(100);
  now += 60_000;
  log.add(refused("last.example"));
  expect(readRefusals(path).at(-1)).toMatchObject({ host: "last.example", total: 20_001 });
  log.flush(true);
  expect(readRefusals(path).reduce((sum, { count }) => sum + count, 0)).toBe(20_001);
  expect(Math.max(...lines.map(({ host }) => host.length))).toBe(255);
});

test("a full file is put aside, and read before the new one", () => {
  const log = make();
  log.add(refused("a.example"));
  appendFileSync(path, `${" ".repeat(2 ** 20)}\n`);
  log.add(refused("b.example"));
  expect(existsSync(`${path}.1`)).toBe(true);
  expect(readFileSync(path, "utf8").split("\n").length).toBe(2);
  expect(readRefusals(path).map(({ host }) => host)).toEqual(["a.example", "b.example"]);
});

test("a line that is none, or not whole yet, is passed over", () => {
  make().add(refused("a.example"));
  appendFileSync(path, 'null\n{"kind":"network"}\n{"ts":"2026');
  expect(readRefusals(path).length).toBe(1);
  expect(parseRefusal("[]")).toBeNull();
});

test("what another command is refused is another line", () => {
  const log = make();
  for (const call of ["a", "a", "b", undefined]) log.add(refused("x.example", call));
  log.flush(true);
  const told = readRefusals(path).map(({ call, count }) => [call, count]);
  expect(told).toEqual([
    ["a", 1],
    ["b", 1],
    [undefined, 1],
    ["a", 1],
  ]);
});
