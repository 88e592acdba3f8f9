/** System calls that no command of the model's has a use for, by architecture. Data only. */

export interface Architecture {
  /** AUDIT_ARCH_* of linux/audit.h. */
  audit: number;
  /** Numbers from here on belong to another interface of the same processor (x32). */
  foreignFrom: number | null;
  ioctl: number;
  clone: number;
  clone3: number;
  unshare: number;
  fallocate: number;
  refused: readonly number[];
  /** Of those, what one ring in another is made with: only the inner one refuses it. */
  forRings: readonly number[];
  /** Of those, what is refused and told to nobody. */
  untold: readonly number[];
  /** Names of those, by their numbers. */
  names: ReadonlyMap<number, string>;
}

/** Newer calls have one number everywhere. */
const COMMON: Record<string, number> = {
  pidfd_getfd: 438,
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  mount_setattr: 442,
  open_tree_attr: 467,
};

const X64: Record<string, number> = {
  ptrace: 101,
  process_vm_readv: 310,
  process_vm_writev: 311,
  kcmp: 312,
  add_key: 248,
  request_key: 249,
  keyctl: 250,
  bpf: 321,
  perf_event_open: 298,
  userfaultfd: 323,
  mount: 165,
  umount2: 166,
  pivot_root: 155,
  chroot: 161,
  setns: 308,
  open_by_handle_at: 304,
  kexec_load: 246,
  kexec_file_load: 320,
  init_module: 175,
  finit_module: 313,
  delete_module: 176,
  swapon: 167,
  swapoff: 168,
  reboot: 169,
  acct: 163,
  quotactl: 179,
};

const ARM64: Record<string, number> = {
  ptrace: 117,
  process_vm_readv: 270,
  process_vm_writev: 271,
  kcmp: 272,
  add_key: 217,
  request_key: 218,
  keyctl: 219,
  bpf: 280,
  perf_event_open: 241,
  userfaultfd: 282,
  mount: 40,
  umount2: 39,
  pivot_root: 41,
  chroot: 51,
  setns: 268,
  open_by_handle_at: 265,
  kexec_load: 104,
  kexec_file_load: 294,
  init_module: 105,
  finit_module: 273,
  delete_module: 106,
  swapon: 224,
  swapoff: 225,
  reboot: 142,
  acct: 89,
  quotactl: 60,
};

/** bubblewrap's own (0.8 to 0.13), and joining a namespace that another ring has made. */
const FOR_RINGS = ["mount", "umount2", "pivot_root", "mount_setattr", "setns"];

/** What runtimes try at each start, and do without: to tell it would hide what is worth telling. */
const UNTOLD = ["io_uring_setup"];

/** What a call is for, as a reason why no command has it. */
const REASONS: readonly (readonly [string, readonly string[]])[] = [
  [
    "it looks into other processes",
    ["ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"],
  ],
  ["it reaches the kernel's keys", ["add_key", "request_key", "keyctl"]],
  [
    "it programs the kernel",
    ["bpf", "perf_event_open", "userfaultfd", "io_uring_enter", "io_uring_register"],
  ],
  ["it opens files past their folders", ["open_by_handle_at"]],
  ["it types into a terminal", ["ioctl(TIOCSTI)", "ioctl(TIOCLINUX)"]],
  [
    "it changes what is mounted",
    ["chroot", "open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick"],
  ],
];
const ADMINISTRATION = "it administers the machine";

export const reasonOf = (name: string): string =>
  REASONS.find(([, names]) => names.includes(name))?.[0] ?? ADMINISTRATION;

const named = (names: readonly string[], own: Record<string, number>) =>
  names.flatMap((name) => own[name] ?? COMMON[name] ?? []);
const tables = (own: Record<string, number>) => {
  const all = Object.entries({ ...own, ...COMMON });
  return {
    refused: all.map(([, number]) => number),
    forRings: named(FOR_RINGS, own),
    untold: named(UNTOLD, own),
    names: new Map(all.map(([name, number]) => [number, name])),
  };
};

/** By the names of `process.arch`. */
export const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    foreignFrom: 0x40000000,
    ioctl: 16,
    clone: 56,
    clone3: 435,
    unshare: 272,
    fallocate: 285,
    ...tables(X64),
  },
  arm64: {
    audit: 0xc00000b7,
    foreignFrom: null,
    ioctl: 29,
    clone: 220,
    clone3: 435,
    unshare: 97,
    fallocate: 47,
    ...tables(ARM64),
  },
};
