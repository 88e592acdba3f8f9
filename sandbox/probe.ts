/**
 * Whether a ring can be made here: found out by making one. Where it cannot, what forbids it is looked for, so that the
 * sentence names the setting and not only the failed call.
 */
import { readFileSync } from "node:fs";

export interface Tried {
  exitCode: number;
  stderr: string;
}

/** Runs a command as the user that the ring is for. */
export type Try = (command: string[]) => Promise<Tried>;

/** Everything of a ring that the kernel or a profile may forbid. */
const NAMESPACES = [
  ...[
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
    "--unshare-net",
  ],
  ...["--new-session", "--die-with-parent", "--cap-drop", "ALL"],
  ...["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
];

/**
 * @param bwrap the program, reachable for that user
 * @returns null when a ring can be made, else what forbids it
 */
export async function whyNoRing(bwrap: string, tryIt: Try): Promise<string | null> {
  if (process.platform !== "linux") return "namespaces are a feature of Linux";
  const { exitCode, stderr } = await tryIt([bwrap, ...NAMESPACES, "--", "true"]);
  return exitCode === 0 ? null : explain(stderr, readSetting);
}

const readSetting = (path: string): string | null => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
};

interface Switch {
  setting: string;
  /** Whether this value forbids it. */
  forbids(value: string): boolean;
  remedy: string;
}

const SWITCHES: readonly Switch[] = [
  {
    setting: "user.max_user_namespaces",
    forbids: (value) => value === "0",
    remedy: "sysctl user.max_user_namespaces=15000",
  },
  {
    setting: "kernel.unprivileged_userns_clone",
    forbids: (value) => value === "0",
    remedy: "sysctl kernel.unprivileged_userns_clone=1",
  },
  {
    setting: "kernel.apparmor_restrict_unprivileged_userns",
    forbids: (value) => value === "1",
    remedy: "an AppArmor profile for bwrap (package apparmor-profiles), or that setting at 0",
  },
];

/** @param read a setting of the kernel's, by its file below /proc/sys */
export function explain(stderr: string, read: (path: string) => string | null): string {
  const said = stderr.trim().split("\n").at(-1) ?? "";
  for (const { setting, forbids, remedy } of SWITCHES) {
    const value = read(`/proc/sys/${setting.replaceAll(".", "/")}`);
    if (value !== null && forbids(value))
      return `the setting ${setting} = ${value} forbids user namespaces (what allows them: ${remedy}); ${said}`;
  }
  if (/^bwrap: loopback/i.test(said))
    return `a network namespace cannot be given its loopback here (of a container: its profile must allow netlink there); ${said}`;
  if (/mounting proc|mount proc/i.test(said))
    return `this machine is itself a container that may not mount /proc (its profile must leave /proc unmasked); ${said}`;
  if (/permission|not permitted/i.test(said))
    return `no setting of the kernel forbids it, so a security profile does (of a container: its seccomp or AppArmor profile must allow unshare and mount); ${said}`;
  return said === "" ? "bwrap failed without a word" : said;
}
