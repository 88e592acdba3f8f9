import { fixed } from "./fixed-width.ts";
import { byStation, type Reading } from "./readings.ts";
import { summarize } from "./statistics.ts";

const HEADINGS = ["station", "lowest", "highest", "mean"];

function degrees(celsius: number): string {
  return `${celsius.toFixed(1)} C`;
}

/** A table with one line per station. */
export function report(readings: Reading[]): string {
  const lines = [HEADINGS.map((heading) => fixed(heading, 12)).join("")];
  for (const [station, list] of byStation(readings)) {
    const summary = summarize(list.map((reading) => reading.celsius));
    const cells = [station, degrees(summary.lowest), degrees(summary.highest), degrees(summary.mean)];
    lines.push(cells.map((cell) => fixed(cell, 12)).join(""));
  }
  return lines.map((line) => line.trimEnd()).join("\n");
}
