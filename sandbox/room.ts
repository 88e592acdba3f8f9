/**
 * How much room the agent's side leaves on its disk, and what that means for its commands. Pure: what was measured in, what is
 * to be done out. The measuring is `scripts/start/disk.ts`.
 */

/** What a file system has. `files` are those that can still be made, or null where it sets no number. */
export interface Space {
  size: number;
  free: number;
  files: { all: number; free: number } | null;
}

export interface RoomLimits {
  /** Bytes that stay free: the review server lives on them. */
  reserve: number;
  /** Files that can still be made. */
  files: number;
  /** Bytes by which the agent's side may grow from a start on. */
  budget: number;
}

const MIB = 2 ** 20;
const SMALLEST_RESERVE = 32 * MIB;
/** A part of what is free: a disk that is nearly full already can still be worked on. */
const mostly = (free: number, most: number, all: number) => Math.min(most, all / 20, free / 2);

/** @param given what the command line says, where it says it */
export function roomLimits(space: Space, given: { reserve?: number; budget?: number } = {}): RoomLimits {
  const { size, free, files } = space;
  const reserve = given.reserve ?? Math.max(SMALLEST_RESERVE, Math.floor(mostly(free, 2048 * MIB, size)));
  return {
    reserve,
    files: files === null ? 0 : Math.floor(mostly(files.free, 20_000, files.all)),
    budget: given.budget ?? Math.max(0, Math.floor((free - reserve) / 2)),
  };
}

/** Why commands are stopped. */
export type Shortage = "space" | "files" | "written";

/** Beyond the limit by this much there is room again: nothing is stopped and let go by turns. */
const AGAIN = 1.25;

export class Room {
  #shortage: Shortage | null = null;

  constructor(readonly limits: RoomLimits) {}

  get shortage(): Shortage | null {
    return this.#shortage;
  }

  /** @param written by how much the agent's side has grown, as it was last measured */
  look(space: Pick<Space, "free" | "files">, written: number): Shortage | null {
    const { reserve, files, budget } = this.limits;
    const was = this.#shortage;
    const need = (limit: number, kind: Shortage) => (was === kind ? limit * AGAIN : limit);
    if (space.free < need(reserve, "space")) this.#shortage = "space";
    else if (space.files !== null && space.files.free < need(files, "files")) this.#shortage = "files";
    else if (written > (was === "written" ? budget / AGAIN : budget)) this.#shortage = "written";
    else this.#shortage = null;
    return this.#shortage;
  }
}

/** As people read it: 1.5 GiB. */
export function sizeText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const at = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** at;
  return `${at === 0 || value >= 100 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** What is wrong, as half a sentence. */
export function shortageText(shortage: Shortage, { reserve, files, budget }: RoomLimits): string {
  switch (shortage) {
    case "space":
      return `less than ${sizeText(reserve)} is free on the agent's disk`;
    case "files":
      return `fewer than ${files} more files can be made on the agent's disk`;
    case "written":
      return `the agent's side has grown by more than the ${sizeText(budget)} that it may`;
  }
}
