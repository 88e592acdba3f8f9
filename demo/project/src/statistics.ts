export interface Summary {
  lowest: number;
  highest: number;
  mean: number;
}

export function mean(values: number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

export function summarize(values: number[]): Summary {
  return {
    lowest: Math.min(...values),
    highest: Math.max(...values),
    mean: mean(values),
  };
}
