/**
 * The guard outside of the rings: it looks at what the agent's commands take of the machine, several times a second, and stops
 * them where that is too much. opencode and the review server go on, and the developer decides on. Nothing is deleted.
 */
import { linkSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Shares } from "../../sandbox/limits.ts";
import {
  Room,
  type RoomLimits,
  roomLimits,
  type Shortage,
  shortageText,
  sizeText,
} from "../../sandbox/room.ts";
import { putFile } from "./agent-side.ts";
import { Growth, KeptSpace, spaceOf } from "./disk.ts";
import { STOP } from "./inner-rings.ts";
import { MemoryGuard } from "./memory-guard.ts";
import type { AgentPlace } from "./places.ts";
import { say } from "./report.ts";
import { endRings, type RunningRing, runningRings } from "./running-rings.ts";

const LOOK_MS = 250;
/** Where there is not much room it looks this often: so much is written between two looks. */
const NEAR_MS = 20;
const NEAR_BYTES = 2 ** 30;
/** Commands that are stopped for want of memory one after the other are said once in this time. */
const QUIET_MS = 60_000;

/** What is asked for on the command line, in bytes. */
export interface GuardWishes {
  disk?: number;
  diskReserve?: number;
  memory?: number;
  /** A number of them. */
  processes?: number;
}

/** A command that was stopped, as the review server is told of it. */
export interface Stopped {
  kind: "disk" | "memory";
  target: string;
  reason: string;
  call?: string;
  count: number;
}

export interface Guarded {
  place: AgentPlace;
  wishes: GuardWishes;
  shares: Shares;
  /** Children of the launcher that opencode is, or its ring. */
  hosts(): number[];
  ringed: boolean;
  tell(stopped: readonly Stopped[]): void;
}

const SHORTAGES: readonly Shortage[] = ["space", "files", "written"];

export class Guard {
  readonly #of: Guarded;
  readonly #room: Room;
  readonly #kept: KeptSpace;
  readonly #growth: Growth;
  readonly #memory: MemoryGuard;
  #endedAt = Number.NEGATIVE_INFINITY;
  #toldAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #isOver = false;
  #lastFree = 0;

  /** Looks from now on, as long as the launcher runs. */
  constructor(of: Guarded) {
    this.#of = of;
    const { place, wishes } = of;
    const space = spaceOf(place.dir);
    const { disk: budget, diskReserve: reserve } = wishes;
    this.#room = new Room(
      roomLimits(space, {
        ...(budget === undefined ? {} : { budget }),
        ...(reserve === undefined ? {} : { reserve }),
      }),
    );
    this.#memory = new MemoryGuard(of.shares.memory);
    const { limits } = this.#room;
    this.#kept = new KeptSpace(place, limits.reserve);
    this.#growth = new Growth(place, Math.max(2 ** 24, Math.floor(limits.budget / 16)));
    for (const shortage of SHORTAGES) putFile(this.#sentence(shortage), `${told(shortage, limits)}\n`, 0o644);
    rmSync(this.#stop, { force: true });
    say(limitsText(limits, of.shares));
    this.#look();
  }

  end(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    rmSync(this.#stop, { force: true });
    this.#kept.end();
  }

  get #stop(): string {
    return join(this.#of.place.cage, STOP);
  }

  #sentence(shortage: Shortage): string {
    return join(this.#of.place.cage, `stop-${shortage}.txt`);
  }

  #look(): void {
    try {
      this.#lookAtDisk();
      this.#lookAtMemory();
    } catch {
      // The folders are being taken away.
    }
    if (this.#isOver) return;
    const isNear = this.#memory.isNear || this.#lastFree - this.#room.limits.reserve < NEAR_BYTES;
    this.#timer = setTimeout(() => this.#look(), isNear ? NEAR_MS : LOOK_MS);
    this.#timer.unref();
  }

  #lookAtDisk(): void {
    const { place } = this.#of;
    const space = spaceOf(place.dir);
    const before = this.#room.shortage;
    const shortage = this.#room.look(space, this.#growth.bytes);
    this.#growth.look(space.free, before === "written");
    if (shortage === null) {
      if (before !== null) this.#letGo();
      void this.#kept.take(space.free, this.#room.limits.reserve);
    } else {
      if (shortage !== before) this.#refuse(shortage);
      const isWorse = space.free < this.#lastFree;
      const stopped = this.#end(
        shortage !== before,
        ({ stays }) => !stays || (shortage === before && isWorse),
      );
      // What a fast writer has left is not enough to live on.
      if (shortage === "space" && space.free < this.#room.limits.reserve / 2) this.#kept.give();
      if (shortage !== before || stopped.length > 0) this.#tell(shortage, stopped);
      if (shortage !== before)
        say(
          `${shortageText(shortage, this.#room.limits)}: the agent's commands are stopped, and none runs until there is room in ${place.dir}. Nothing was deleted; the review goes on`,
        );
    }
    this.#lastFree = space.free;
  }

  #lookAtMemory(): void {
    const tooMuch = this.#memory.look(() => this.#rings());
    if (tooMuch === null) return;
    const { ring, reason } = tooMuch;
    if (endRings([ring]).length === 0) return;
    const call = ring.call === null ? {} : { call: ring.call };
    this.#of.tell([{ kind: "memory", target: "memory", reason, ...call, count: 1 }]);
    const now = performance.now();
    if (now - this.#toldAt < QUIET_MS) return;
    this.#toldAt = now;
    say(`${reason}: the one that had most was stopped`);
  }

  /** From now on no command begins. */
  #refuse(shortage: Shortage): void {
    const link = () => {
      rmSync(this.#stop, { force: true });
      linkSync(this.#sentence(shortage), this.#stop);
    };
    try {
      link();
    } catch {
      this.#kept.give();
      link();
    }
  }

  #letGo(): void {
    rmSync(this.#stop, { force: true });
    say("there is room on the agent's disk again: its commands run");
  }

  #rings(): RunningRing[] {
    const { hosts, ringed, place } = this.#of;
    return hosts().flatMap((host) => runningRings(host, ringed, place.serverHomes));
  }

  /** What begins by a script that was read before the word to stop is ended soon after. */
  #end(atOnce: boolean, which: (ring: RunningRing) => boolean): RunningRing[] {
    const now = performance.now();
    if (!atOnce && now - this.#endedAt < LOOK_MS) return [];
    this.#endedAt = now;
    return endRings(this.#rings().filter(which));
  }

  #tell(shortage: Shortage, stopped: readonly RunningRing[]): void {
    const { limits } = this.#room;
    const one = { kind: "disk" as const, target: this.#of.place.dir, reason: shortageText(shortage, limits) };
    const calls = stopped.length === 0 ? [null] : stopped.map(({ call }) => call);
    this.#of.tell(calls.map((call) => ({ ...one, ...(call === null ? {} : { call }), count: 1 })));
  }
}

/** In a sentence, for the start and the doctor. */
export const limitsText = ({ reserve, budget }: RoomLimits, { memory, processes }: Shares) =>
  `the agent's commands may take ${sizeText(budget)} of disk (and leave ${sizeText(reserve)} free), ${sizeText(memory)} of memory and ${processes} processes together; what takes more is stopped`;

/** For the model. */
const told = (shortage: Shortage, limits: RoomLimits) =>
  `Stopped: ${shortageText(shortage, limits)}. No command runs until there is room; only the developer can make it. Tell them, and do not try again before they answer.`;
