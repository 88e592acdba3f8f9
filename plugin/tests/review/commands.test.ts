/** What the agent's commands are known by outside of their rings. */
import { expect, test } from "bun:test";
import { Commands, commandLine } from "../../src/review/tell/commands.ts";

test("a command is known by its number, which is another each time, and by the host's call", () => {
  const commands = new Commands();
  const [first, second] = [commands.begin("make"), commands.begin("make")];
  expect(first).toMatch(/^[0-9a-f]{24}$/);
  expect(second).not.toBe(first);
  expect(commands.of(first)).toBe("make");
  commands.beginCall("call-1", "ls");
  expect(commands.of(commands.numberOfCall("call-1") ?? "")).toBe("ls");
  expect([commands.numberOfCall("call-2"), commands.of("call-1"), commands.of("")]).toEqual([
    null,
    null,
    null,
  ]);
});

test("the oldest are forgotten, and no more is kept than that", () => {
  const commands = new Commands();
  const numbers = Array.from({ length: 2500 }, (_, n) => commands.begin(`command ${n}`));
  expect(commands.of(numbers[0] ?? "")).toBeNull();
  expect(commands.of(numbers[2499] ?? "")).toBe("command 2499");
  expect(numbers.filter((one) => commands.of(one) !== null).length).toBe(2000);
});

test("its line has no control, bidi or hidden character and no end of a line in it, and ends", () => {
  expect(commandLine("  a\tb\nc\u001b[2Jd\u202ee\u2066f\u200bg\u2028h\ud800i\u009bj ")).toBe(
    "a b c [2Jd e f g h i j",
  );
  const long = commandLine("😀".repeat(1_000_000));
  // In the units that the protocol's schema counts.
  expect(long).toHaveLength(301);
  expect(long).toEndWith("😀…");
  expect(commandLine(`${"\u202e".repeat(10_000)}rm`)).toBe("…");
});
