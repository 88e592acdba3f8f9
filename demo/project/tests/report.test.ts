import { expect, test } from "bun:test";
import { parseReadings } from "../src/readings.ts";
import { report } from "../src/report.ts";

test("one line per station", () => {
  const text = report(parseReadings("t1,Harbour,4\nt1,Summit,-3\nt2,Harbour,6"));
  expect(text.split("\n")).toHaveLength(3);
  expect(text).toContain("Harbour     4.0 C       6.0 C       5.0 C");
});
