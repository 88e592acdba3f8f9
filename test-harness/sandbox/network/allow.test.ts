/** `npm run sandbox -- allow|deny|list`: the developer's lists, changed by hand and read back. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readRules } from "../../../sandbox/network/list.ts";
import { judge } from "../../../sandbox/network/rules.ts";
import { run } from "../../support/processes.ts";
import { ROOT, Scene } from "../../support/scene.ts";

const scene = new Scene("allow");
const env = { ...(process.env as Record<string, string>), ISOLATED_AI_CODER_LOCAL: scene.path("local") };
const rules = scene.path("local/demo/1/network.json");
const sandbox = (...args: string[]) =>
  run(["bun", "--no-env-file", join(ROOT, "scripts/start/allow.ts"), ...args], { env });
const outcome = (host: string, port = 443) => {
  const verdict = judge(readRules(rules), host, port);
  return "allowed" in verdict ? "allowed" : verdict.refused;
};

// Each test begins with no lists, and no project.
beforeEach(() => rmSync(scene.path("local"), { recursive: true, force: true }));
afterAll(() => scene.close());

test("without a project it says how one is made", () => {
  const done = sandbox("list");
  expect(done).toMatchObject({ code: 2, out: "" });
  expect(done.err).toContain("npm start makes one");
});

describe("on a project", () => {
  beforeEach(() => {
    scene.write(
      "local/demo/1/state.json",
      JSON.stringify({ version: 1, checkout: "/the/checkout", agent: { separate: false } }),
    );
  });

  test("a host is allowed and denied, and the last word counts", () => {
    expect(sandbox("allow", "A.example", "b.example:8443", "*.c.example").code).toBe(0);
    expect([outcome("a.example"), outcome("b.example", 8443), outcome("x.c.example")]).toEqual(
      Array(3).fill("allowed"),
    );
    expect(statSync(rules).mode & 0o777).toBe(0o600);
    expect(sandbox("deny", "a.example").code).toBe(0);
    expect(outcome("a.example")).toBe("denied");
    expect(sandbox("allow", "a.example").code).toBe(0);
    expect(outcome("a.example")).toBe("allowed");
  });

  test("what a denial outweighs is said", () => {
    sandbox("deny", "*.d.example");
    const done = sandbox("allow", "x.d.example");
    expect(done.err).toContain("a denial is stronger: *.d.example");
    expect(outcome("x.d.example")).toBe("denied");
  });

  test("a name that leads to this machine is allowed with that, and it is said", () => {
    expect(sandbox("allow", "localhost:5432").err).toContain("leads to a loopback address");
    expect(judge(readRules(rules), "localhost", 5432)).toMatchObject({ allowed: { reach: ["loopback"] } });
  });

  test("the list shows both, and refusals", () => {
    sandbox("allow", "b.example:8443");
    sandbox("deny", "*.d.example");
    const { out } = sandbox("list");
    expect(out).toContain("/the/checkout");
    expect(out).toMatch(/allowed by you:\n {2}.*b\.example:8443/s);
    expect(out).toMatch(/denied by you:\n {2}\*\.d\.example/);
  });

  test("what is no host changes nothing, not even for the others that are named with it", () => {
    sandbox("allow", "a.example");
    const before = readFileSync(rules, "utf8");
    for (const bad of ["https://e.example", "*", "e.example:0", "127.1", "e..example", ""]) {
      const done = sandbox("allow", "good.example", bad);
      expect({ bad, code: done.code }).toEqual({ bad, code: 2 });
      expect(done.err).toContain(`"${bad}"`);
    }
    for (const args of [[], ["allow"], ["list", "x"], ["forbid", "x"], ["allow", "a", "--nope"]])
      expect({ args, code: sandbox(...args).code }).toEqual({ args, code: 2 });
    expect(readFileSync(rules, "utf8")).toBe(before);
  });

  test("a list that cannot be read is named, and not written over", () => {
    for (const broken of ["{", '{"version":2}', '{"version":1,"allow":["a b"]}', "[]"]) {
      writeFileSync(rules, broken);
      const done = sandbox("allow", "a.example");
      expect({ broken, code: done.code }).toEqual({ broken, code: 1 });
      expect(done.err).toContain(rules);
      expect(readFileSync(rules, "utf8")).toBe(broken);
    }
    expect(existsSync(`${rules}.tmp`)).toBe(false);
  });
});
