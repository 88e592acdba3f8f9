/** When there is room for the agent's commands: by what was measured alone. */
import { expect, test } from "bun:test";
import { Room, roomLimits, shortageText, sizeText } from "../../sandbox/room.ts";

const [MIB, GIB] = [2 ** 20, 2 ** 30];
const disk = (size: number, free: number, files: [number, number] | null = null) => ({
  size,
  free,
  files: files === null ? null : { all: files[0], free: files[1] },
});

test("what stays free fits the disk: 2 GiB, a part of a small one, a part of what one that is nearly full has", () => {
  expect(roomLimits(disk(500 * GIB, 300 * GIB)).reserve).toBe(2 * GIB);
  expect(roomLimits(disk(10 * GIB, 8 * GIB)).reserve).toBe(GIB / 2);
  expect(roomLimits(disk(500 * GIB, GIB)).reserve).toBe(GIB / 2);
  expect(roomLimits(disk(500 * GIB, 10 * MIB)).reserve).toBe(32 * MIB);
  expect(roomLimits(disk(500 * GIB, 300 * GIB), { reserve: 5 * MIB }).reserve).toBe(5 * MIB);
});

test("what the agent's side may write is half of what is free beyond that, or what the developer says", () => {
  expect(roomLimits(disk(500 * GIB, 102 * GIB)).budget).toBe(50 * GIB);
  expect(roomLimits(disk(500 * GIB, MIB)).budget).toBe(0);
  expect(roomLimits(disk(500 * GIB, 102 * GIB), { budget: 3 * GIB }).budget).toBe(3 * GIB);
});

test("files that can be made are kept, too, where the file system has a number of them", () => {
  expect(roomLimits(disk(GIB, GIB, [1_000_000, 900_000])).files).toBe(20_000);
  expect(roomLimits(disk(GIB, GIB, [1000, 900])).files).toBe(50);
  const room = new Room(roomLimits(disk(GIB, GIB, [1000, 900])));
  expect(room.look(disk(GIB, GIB, [1000, 49]), 0)).toBe("files");
  expect(room.look(disk(GIB, GIB, [1000, 55]), 0)).toBe("files");
  expect(room.look(disk(GIB, GIB, [1000, 63]), 0)).toBeNull();
  expect(new Room(roomLimits(disk(GIB, GIB))).look(disk(GIB, GIB), 0)).toBeNull();
});

test("a shortage is over when there is clearly more, and another one may come in its place", () => {
  const room = new Room({ reserve: 100, files: 0, budget: 1000 });
  expect(room.look(disk(0, 100), 0)).toBeNull();
  expect(room.look(disk(0, 99), 0)).toBe("space");
  expect(room.look(disk(0, 120), 0)).toBe("space");
  expect(room.look(disk(0, 125), 1001)).toBe("written");
  expect(room.look(disk(0, 125), 900)).toBe("written");
  expect(room.look(disk(0, 110), 800)).toBeNull();
});

test("sizes and shortages are said in words", () => {
  const sizes = [0, 1023, 1024, 1.5 * GIB, 200 * MIB, 3 * 2 ** 40].map(sizeText);
  expect(sizes).toEqual(["0 bytes", "1023 bytes", "1 KiB", "1.5 GiB", "200 MiB", "3 TiB"]);
  const limits = { reserve: GIB, files: 50, budget: 2 * GIB };
  expect(shortageText("space", limits)).toBe("less than 1 GiB is free on the agent's disk");
  expect(shortageText("files", limits)).toBe("fewer than 50 more files can be made on the agent's disk");
  expect(shortageText("written", limits)).toBe(
    "the agent's side has grown by more than the 2 GiB that it may",
  );
});
