/**
 * The filters of system calls for both rings, as the bytes of a classic BPF program (struct sock_filter, see
 * seccomp(2)); bubblewrap takes them from a file descriptor. What is refused fails with EPERM and nothing is killed, so
 * that a program can say what it could not do. The outer filter leaves what the inner ring is made with: user namespaces
 * and the older calls for mounting. In an inner ring both hold.
 *
 * Where refused calls are told (notify/), of all filters the answer with the lowest number counts: "refuse" before "notify"
 * before "yield".
 */
import { endianness } from "node:os";
import { ARCHITECTURES, type Architecture } from "./system-calls.ts";

const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const IF_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const IF_AT_LEAST = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const IF_ANY_BIT = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const RETURN = 0x06;

const ALLOW = 0x7fff0000;
const EPERM = 0x00050000 | 1;
/** Whoever holds the listener answers, and ENOSYS does where nobody holds it any more. */
const NOTIFY = 0x7fc00000;
/** ENOSYS, unless a tracer is there that asked for it; none is, since ptrace is refused. */
const TRACE = 0x7ff00000;
/** As from a kernel that does not have the call. */
const ENOSYS = 0x00050000 | 38;
/** As from a file system that does not have it. */
const EOPNOTSUPP = 0x00050000 | 95;

/** Offsets in struct seccomp_data; of an argument the low half. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const argument = (n: number) => 16 + 8 * n;

export const TERMINAL_REQUESTS: ReadonlyMap<number, string> = new Map([
  [0x5412, "ioctl(TIOCSTI)"],
  [0x541c, "ioctl(TIOCLINUX)"],
]);
const CLONE_NEWUSER = 0x10000000;
/** FALLOC_FL_PUNCH_HOLE and FALLOC_FL_COLLAPSE_RANGE, which give space back. */
const GIVES_BACK = 0x02 | 0x08;

interface Instruction {
  code: number;
  k: number;
  /** How many instructions are jumped over when the condition holds, and when it does not. */
  yes?: number;
  no?: number;
}

export type Ring = "inner" | "outer";

/**
 * How it answers what both rings refuse. "refuse": EPERM. "notify": its listener is asked. "yield": the listener of another
 * filter is, and where there is none it is refused.
 */
export type Answer = "refuse" | "notify" | "yield";
const ANSWERS = { refuse: EPERM, notify: NOTIFY, yield: TRACE } as const;

/** The filter for an architecture, or null for one that it is not written for. @param arch as `process.arch` has it */
export function seccompFilter(
  arch: string = process.arch,
  ring: Ring = "inner",
  how: Answer = "refuse",
): Uint8Array | null {
  const architecture = ARCHITECTURES[arch];
  if (architecture === undefined || endianness() !== "LE") return null;
  return encode(program(architecture, ring, ANSWERS[how]));
}

const answer = (k: number): Instruction => ({ code: RETURN, k });
const unless = (code: number, k: number, block: Instruction[]): Instruction[] => [
  { code, k, no: block.length },
  ...block,
];

function program(a: Architecture, ring: Ring, told: number): Instruction[] {
  const untold = [...a.forRings, ...a.untold];
  return [
    // A call by another architecture's numbers would be read by the wrong list.
    { code: LOAD, k: ARCHITECTURE },
    { code: IF_EQUAL, k: a.audit, yes: 1 },
    answer(EPERM),
    { code: LOAD, k: NUMBER },
    ...(a.foreignFrom === null ? [] : unless(IF_AT_LEAST, a.foreignFrom, [answer(EPERM)])),
    ...a.refused
      .filter((number) => ring === "inner" || !a.forRings.includes(number))
      .flatMap((number) => unless(IF_EQUAL, number, [answer(untold.includes(number) ? EPERM : told)])),
    ...(ring === "inner" ? [...noUserNamespaces(a), ...noSpaceAtOnce(a)] : []),
    // Typing into a terminal that somebody else reads.
    ...unless(IF_EQUAL, a.ioctl, [
      { code: LOAD, k: argument(1) },
      ...[...TERMINAL_REQUESTS.keys()].flatMap((request) => unless(IF_EQUAL, request, [answer(told)])),
    ]),
    answer(ALLOW),
  ];
}

function noUserNamespaces(a: Architecture): Instruction[] {
  return [
    // Its flags are behind a pointer that a filter cannot follow: the C library then takes clone.
    ...unless(IF_EQUAL, a.clone3, [answer(ENOSYS)]),
    ...[a.clone, a.unshare].flatMap((number) =>
      unless(IF_EQUAL, number, [
        { code: LOAD, k: argument(0) },
        ...unless(IF_ANY_BIT, CLONE_NEWUSER, [answer(EPERM)]),
        answer(ALLOW),
      ]),
    ),
  ];
}

/** A disk is filled by writing alone, which takes time: who looks often sees it. The C library then writes (posix_fallocate). */
function noSpaceAtOnce(a: Architecture): Instruction[] {
  return unless(IF_EQUAL, a.fallocate, [
    { code: LOAD, k: argument(1) },
    ...unless(IF_ANY_BIT, GIVES_BACK, [answer(ALLOW)]),
    answer(EOPNOTSUPP),
  ]);
}

function encode(instructions: Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(instructions.length * 8));
  for (const [index, { code, k, yes = 0, no = 0 }] of instructions.entries()) {
    bytes.setUint16(index * 8, code, true);
    bytes.setUint8(index * 8 + 2, yes);
    bytes.setUint8(index * 8 + 3, no);
    bytes.setUint32(index * 8 + 4, k, true);
  }
  return new Uint8Array(bytes.buffer);
}
