/** The filter of system calls: as a program that is read here, and as the kernel takes it. */
import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { seccompFilter } from "../../sandbox/seccomp.ts";
import { ARCHITECTURES } from "../../sandbox/system-calls.ts";
import { run } from "../support/processes.ts";
import { Scene } from "../support/scene.ts";

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const NOTIFY = 0x7fc00000;
const TRACE = 0x7ff00000;
const EOPNOTSUPP = 0x0005005f;

/** Runs a classic BPF program on one call, as the kernel would. */
function judge(filter: Uint8Array, call: { arch: number; nr: number; args?: number[] }): number {
  const code = new DataView(filter.buffer);
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, call.nr, true);
  data.setUint32(4, call.arch, true);
  for (const [n, value] of (call.args ?? []).entries()) data.setBigUint64(16 + 8 * n, BigInt(value), true);
  let accumulator = 0;
  for (let at = 0; at < code.byteLength / 8; at++) {
    const k = code.getUint32(at * 8 + 4, true);
    const jump = (holds: boolean) => code.getUint8(at * 8 + (holds ? 2 : 3));
    switch (code.getUint16(at * 8, true)) {
      case 0x20:
        accumulator = data.getUint32(k, true);
        break;
      case 0x15:
        at += jump(accumulator === k);
        break;
      case 0x35:
        at += jump(accumulator >= k);
        break;
      case 0x45:
        at += jump((accumulator & k) !== 0);
        break;
      case 0x06:
        return k;
      default:
        throw new Error("not an instruction of the filter's");
    }
  }
  throw new Error("the filter has no end");
}

for (const [name, a] of Object.entries(ARCHITECTURES)) {
  describe(`the filter for ${name}`, () => {
    const filter = seccompFilter(name) ?? new Uint8Array();
    const of = (nr: number, ...args: number[]) => judge(filter, { arch: a.audit, nr, args });

    test("refuses what is listed, and nothing else by its number", () => {
      const refused = new Set(a.refused);
      for (let nr = 0; nr < 600; nr++) {
        const others = new Map([
          [a.clone3, ENOSYS],
          [a.fallocate, EOPNOTSUPP],
        ]);
        const expected = refused.has(nr) ? EPERM : (others.get(nr) ?? ALLOW);
        expect({ nr, answer: of(nr) }).toEqual({ nr, answer: expected });
      }
    });

    test("refuses to set space aside, as a file system that cannot, and not to give it back", () => {
      for (const mode of [0, 1, 0x10, 0x40]) expect(of(a.fallocate, 3, mode)).toBe(EOPNOTSUPP);
      for (const mode of [0x3, 0x8]) expect(of(a.fallocate, 3, mode)).toBe(ALLOW);
    });

    test("the outer one leaves what the inner ring is made with, and that alone", () => {
      const outer = seccompFilter(name, "outer") ?? new Uint8Array();
      const rings = new Set(a.forRings);
      expect(rings.size).toBe(5);
      for (let nr = 0; nr < 600; nr++) {
        const answer = judge(outer, { arch: a.audit, nr, args: [0x10000000] });
        expect({ nr, answer }).toEqual({
          nr,
          answer: a.refused.includes(nr) && !rings.has(nr) ? EPERM : ALLOW,
        });
      }
      for (const request of [0x5412, 0x541c])
        expect(judge(outer, { arch: a.audit, nr: a.ioctl, args: [0, request] })).toBe(EPERM);
      expect(judge(outer, { arch: 0x40000003, nr: 1 })).toBe(EPERM);
    });

    test("where calls are told, both rings leave them to the one filter that asks, and what makes rings to nobody", () => {
      const [inner, outer, asking] = (
        [
          ["inner", "yield"],
          ["outer", "yield"],
          ["outer", "notify"],
        ] as const
      ).map(([ring, how]) => seccompFilter(name, ring, how) ?? new Uint8Array());
      const answers = (nr: number, ...args: number[]) =>
        [inner, outer, asking].map((one) => judge(one as Uint8Array, { arch: a.audit, nr, args }));
      const silent = new Set([...a.forRings, ...a.untold]);
      for (const nr of a.refused) {
        const outside = a.forRings.includes(nr) ? ALLOW : EPERM;
        const expected = silent.has(nr) ? [EPERM, outside, outside] : [TRACE, TRACE, NOTIFY];
        expect({ nr, answers: answers(nr) }).toEqual({ nr, answers: expected });
        expect(a.names.get(nr)).toBeString();
      }
      for (const request of [0x5412, 0x541c])
        expect(answers(a.ioctl, 0, request)).toEqual([TRACE, TRACE, NOTIFY]);
      expect(answers(a.clone3)).toEqual([ENOSYS, ALLOW, ALLOW]);
      expect(answers(a.unshare, 0x10000000)).toEqual([EPERM, ALLOW, ALLOW]);
      expect(answers(1)).toEqual([ALLOW, ALLOW, ALLOW]);
    });

    test("refuses a new user namespace, and no other flag", () => {
      for (const nr of [a.clone, a.unshare]) {
        expect(of(nr, 0x10000000)).toBe(EPERM);
        expect(of(nr, 0x10000000 | 0x00020000)).toBe(EPERM);
        expect(of(nr, 0x00000200)).toBe(ALLOW);
      }
    });

    test("refuses typing into a terminal, whatever stands above the lower half, and no other request", () => {
      for (const request of [0x5412, 0x541c, 0x5412 + 2 ** 32]) expect(of(a.ioctl, 0, request)).toBe(EPERM);
      for (const request of [0x5401, 0x5413]) expect(of(a.ioctl, 0, request)).toBe(ALLOW);
    });

    test("refuses everything by another architecture's numbers", () => {
      expect(judge(filter, { arch: 0x40000003, nr: 1 })).toBe(EPERM);
      if (a.foreignFrom !== null) expect(of(a.foreignFrom + 1)).toBe(EPERM);
    });
  });
}

test("there is none for an architecture that it is not written for", () => {
  expect(seccompFilter("mips")).toBeNull();
});

// Skipped off Linux, which alone has the namespaces.
describe.skipIf(process.platform !== "linux")("the kernel", () => {
  const scene = new Scene("seccomp");
  afterAll(() => scene.close());
  const filter = scene.path("filter.bpf");
  writeFileSync(filter, seccompFilter() ?? new Uint8Array());
  const under = (command: string) =>
    run(["sh", "-c", `exec bwrap --unshare-user --dev-bind / / --seccomp 9 -- ${command} 9< "$0"`, filter]);

  test("takes it, and programs run under it", () => {
    expect(under("sh -c 'bun -e \"console.log(1 + 1)\" && git --version && jj --version'")).toMatchObject({
      code: 0,
    });
  });

  test("refuses what the filter refuses", () => {
    expect(under("unshare --user true").err).toContain("Operation not permitted");
    expect(run(["unshare", "--user", "true"]).code).toBe(0);
    const typing = "perl -e 'ioctl(STDIN, 0x5412, my $c = \"x\"); print $! + 0'";
    expect(under(typing).out).toBe("1");
    expect(run(["sh", "-c", typing]).out).not.toBe("1");
  });
});
