import { expect, test } from "bun:test";
import { byStation, parseReadings } from "../src/readings.ts";

test("reads a line of CSV", () => {
  expect(parseReadings("2026-04-01T06:00,Harbour,4.5")).toEqual([
    { time: "2026-04-01T06:00", station: "Harbour", celsius: 4.5 },
  ]);
});

test("skips remarks and empty lines", () => {
  expect(parseReadings("# a remark\n\n")).toEqual([]);
});

test("groups readings by station", () => {
  const readings = parseReadings("t1,Harbour,1\nt1,Summit,2\nt2,Harbour,3");
  expect([...byStation(readings).keys()]).toEqual(["Harbour", "Summit"]);
});
