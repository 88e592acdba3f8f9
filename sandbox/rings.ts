/** The ring around one command of the model's, as bubblewrap's arguments, and what it shares with the outer one. Pure: folders and options in, words out. */
import type { System } from "./system.ts";

/** A word of a command, or what a script finds out by itself: shell that gives one word. */
export type Word = string | { shell: string };

export interface InnerRing {
  system: System;
  /** The folder that it is for, writable: the agent's repository, or a tree to be checked. */
  worktree: Word;
  /** A home of the ring's own, writable. */
  home: Word;
  /** Further folders and files, shown at their own place, read-only. */
  shown: readonly string[];
  /** Folders of the worktree that keep their place: their parents are writable, and what is in them counts elsewhere. */
  pinned: readonly string[];
  /** "none": loopback of its own, and nothing else. "shared": that of what starts it, which may be such a network. */
  network: "shared" | "none";
  /** Descriptor that the filter of system calls is read from. */
  seccomp: number | null;
  /** Bytes that each of its file systems in memory may take, /tmp and /dev/shm among them. */
  inMemory: number;
}

export const show = (path: string): string[] => ["--ro-bind", path, path];
export const keep = <Path extends Word>(path: Path): (string | Path)[] => ["--bind", path, path];

/** What both rings begin with: namespaces, a session and a host name of their own, the filter, and the system. */
export function beginning({
  system,
  network,
  seccomp,
  inMemory,
}: Pick<InnerRing, "system" | "network" | "seccomp" | "inMemory">): string[] {
  return [
    ...["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"],
    ...(network === "none" ? ["--unshare-net"] : []),
    // A session of its own has no terminal; nothing outlives the command that started it.
    ...["--new-session", "--die-with-parent", "--cap-drop", "ALL", "--hostname", "agent"],
    ...(seccomp === null ? [] : ["--seccomp", String(seccomp)]),
    // Before what is shown: the file that names are looked up by may be kept below /run.
    ...["/tmp", "/run", "/var/tmp"].flatMap((path) => ["--size", String(inMemory), "--tmpfs", path]),
    ...system.shown.flatMap((one) =>
      one.kind === "link" ? ["--symlink", one.target, one.path] : show(one.path),
    ),
    ...system.hiddenFiles.flatMap((path) => ["--ro-bind", "/dev/null", path]),
    ...system.hiddenFolders.flatMap((path) => ["--tmpfs", path, "--remount-ro", path]),
  ];
}

/** Devices of a ring's own. The folder that they are in is no place to keep things. */
export const devices = (inMemory: number): string[] => [
  ...["--dev", "/dev", "--size", String(inMemory), "--perms", "1777", "--tmpfs", "/dev/shm"],
  ...["--remount-ro", "/dev"],
];

/** @returns arguments that go between the program and `--` */
export function innerRing(ring: InnerRing): Word[] {
  return [
    ...beginning(ring),
    // Files below /proc/sys are root's to write, capabilities or not: a command that runs as root is no exception.
    ...["--proc", "/proc", "--remount-ro", "/proc", ...devices(ring.inMemory)],
    ...ring.shown.flatMap(show),
    ...[ring.home, ring.worktree, ...ring.pinned].flatMap(keep),
    // What lies between the folders above is made of nothing: a file written there would be lost without a word.
    ...["--remount-ro", "/"],
  ];
}
