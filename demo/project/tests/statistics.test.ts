import { expect, test } from "bun:test";
import { mean, summarize } from "../src/statistics.ts";

test("mean of several values", () => {
  expect(mean([1, 2, 6])).toBe(3);
});

test("summary of one station", () => {
  expect(summarize([9, 10, 2])).toMatchObject({ lowest: 2, highest: 10, mean: 7 });
});
