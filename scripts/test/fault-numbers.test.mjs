// @ts-check
// Every fault that was once seen in use has a test that carries its number.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT } from "../lib/bootstrap.mjs";
import { carriedNumbers, NUMBERS, numbersIn } from "./fault-numbers.mjs";

test("every number of a fault is carried by a test", () => {
  const carried = carriedNumbers(ROOT);
  assert.deepEqual(
    NUMBERS.filter((number) => !carried.has(number)),
    [],
    "no test has a name that begins with",
  );
});

test("no test carries a number that there is not", () => {
  const strange = [...carriedNumbers(ROOT)].filter(([number]) => !NUMBERS.includes(number));
  assert.deepEqual(strange, []);
});

test("a number counts where a test that is run begins with it, and nowhere else", () => {
  const counted = [
    'test("A1: one", () => {});',
    "it('A2: two', function() end)",
    "describe(`A3: three`, () => {});",
    'test.skipIf(missing() !== null)("A4: four", () => {});',
    'test(\n    "A5: five",\n',
    'it(("A6: %s"):format(name), function()',
    'test("A7 A8: both", () => {});',
    'test.each([[1, "x"]])("A9: nine", () => {});',
  ];
  assert.deepEqual(counted.flatMap(numbersIn), ["A1", "A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9"]);
  const others = [
    '// test("A1: one", () => {});',
    '-- it("A1: one", function()',
    'test.skip("A1: one", () => {});',
    'test.todo("A1: one");',
    'pending("A1: one", "why")',
    'expect(text).toBe("A1: one")',
    'test("one of A1: two", () => {});',
  ];
  assert.deepEqual(others.flatMap(numbersIn), []);
});
