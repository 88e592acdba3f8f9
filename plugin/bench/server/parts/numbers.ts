import type { Row } from "../../../../scripts/bench/row.ts";

export function quantile(values: number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export function row(name: string, ours: number, against: number, goal: string, unit: string): Row {
  return { suite: "server", name, ours, against, ratio: ours / against, goal, unit };
}
