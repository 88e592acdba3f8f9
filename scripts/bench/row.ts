/** One line of a benchmark: ours beside a floor or a peer, measured in the same run. */
export interface Row {
  suite: string;
  /** What was measured, and against what. */
  name: string;
  ours: number;
  against: number;
  /** ours / against */
  ratio: number;
  /** The goal for the ratio, e.g. "<= 1.5". */
  goal: string;
  unit: string;
}
