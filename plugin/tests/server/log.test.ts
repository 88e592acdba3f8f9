import { describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createLog, type LogLevel } from "../../src/server/log.ts";
import { temporaryDirectory } from "./place.ts";

function logged(
  level: LogLevel,
  write: (log: ReturnType<typeof createLog>) => void,
): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLog(level, (line) => void lines.push(line)));
  return lines.map((line) => JSON.parse(line));
}

describe("log", () => {
  test("one JSON object a line: time, level, message and the caller's fields, as they are", () => {
    const [line] = logged("info", (log) => log.info("100%% %s %d", { port: 4097, list: [1, { two: 2 }] }));
    expect(line).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      level: "info",
      message: "100%% %s %d",
      port: 4097,
      list: [1, { two: 2 }],
    });
  });

  test("what is below the level is left out", () => {
    const levels: LogLevel[] = ["silent", "error", "warn", "info", "debug"];
    for (const [index, level] of levels.entries()) {
      const all = logged(level, (log) => {
        for (const name of ["error", "warn", "info", "debug"] as const) log[name](name);
      });
      expect(all.map((line) => line.message)).toEqual(levels.slice(1, index + 1));
    }
  });

  test("tokens are blanked by field name and by look, in messages, fields and errors, at any depth", () => {
    const secret = "smd_0123456789abcdef";
    const lines = logged("debug", (log) => {
      log.info(`got ${secret}`, { authorization: "x1", deep: { cookie: "x2", list: [`Bearer ${secret}`] } });
      log.error("failed", { error: new Error(`sent Basic ${secret}`), userToken: "x3" });
    });
    const text = JSON.stringify(lines);
    for (const part of [secret, "x1", "x2", "x3"]) expect(text).not.toContain(part);
    expect(text.split("[redacted]").length - 1).toBe(6);
    expect(text).toContain("sent [redacted]");
  });

  test("hostile text stays on its own line", () => {
    const lines: string[] = [];
    createLog("info", (line) => void lines.push(line)).info('a\n{"level":"error"}\r\u001b[2J', { x: "\n" });
    expect(lines).toHaveLength(1);
    expect([...(lines[0] ?? "")].filter((letter) => letter < " ")).toEqual([]);
  });

  test("a destination that fails is not the caller's problem", () => {
    const log = createLog("info", () => {
      throw new Error("disk full");
    });
    expect(() => log.error("lost")).not.toThrow();
  });

  test("a file is appended to, for its owner alone", () => {
    const file = join(temporaryDirectory("log"), "server.log");
    createLog("info", file).info("one");
    createLog("info", file).info("two");
    expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(2);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});
