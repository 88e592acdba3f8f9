/** Names, addresses and lists: every spelling that is not the one spelling is refused, before anything is looked up. */
import { describe, expect, test } from "bun:test";
import { type AddressKind, kindOf, sameAddress } from "../../../sandbox/network/addresses.ts";
import { allowing, denying } from "../../../sandbox/network/list.ts";
import { canonicalHost, type Entry, judge, parseEntry, type Rules } from "../../../sandbox/network/rules.ts";

const entry = (text: string): Entry => {
  const parsed = parseEntry(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return { ...parsed, reach: [] };
};
const rules = (allow: string[], deny: string[] = []): Rules => ({
  allow: allow.map(entry),
  deny: deny.map(entry),
});
const outcome = (given: Rules, host: string, port: number) => {
  const verdict = judge(given, host, port);
  return "allowed" in verdict ? "allowed" : verdict.refused;
};

describe("the one spelling of a host", () => {
  test("is lower case, and an address as it stands", () => {
    expect(canonicalHost("Example.COM")).toBe("example.com");
    expect(canonicalHost("a_b.example")).toBe("a_b.example");
    expect(canonicalHost("10.0.0.1")).toBe("10.0.0.1");
    expect(canonicalHost("[2001:DB8::1]")).toBe("2001:db8::1");
  });

  for (const bad of [
    "",
    ".",
    "example.com.",
    ".example.com",
    "a..b",
    "-a.example",
    "exa mple.com",
    "allowed.example\0.evil.example",
    "evil.example\0",
    "evil.example#allowed.example",
    "allowed.example@evil.example",
    "evil.example/allowed.example",
    "evil.example:443",
    "e\u0301vil.example",
    "ａllowed.example",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.0.0.1.",
    "1.2.3.4.5",
    "fe80::1%eth0",
    "[fe80::1%25eth0]",
    "[127.0.0.1]",
    "*.example.com",
    "*",
    `${"a".repeat(64)}.example`,
    `${"a.".repeat(130)}example`,
  ])
    test(`none is ${JSON.stringify(bad.slice(0, 40))}`, () => expect(canonicalHost(bad)).toBeNull());
});

describe("an entry", () => {
  test("is a name, a name and a port, names below one, or an address", () => {
    expect(parseEntry("Example.com")).toEqual({ host: "example.com", port: null });
    expect(parseEntry("example.com:8443")).toEqual({ host: "example.com", port: 8443 });
    expect(parseEntry("*.example.com")).toEqual({ host: "*.example.com", port: null });
    expect(parseEntry("10.0.0.1:5432")).toEqual({ host: "10.0.0.1", port: 5432 });
    expect(parseEntry("[::1]:80")).toEqual({ host: "::1", port: 80 });
    expect(parseEntry("::1")).toEqual({ host: "::1", port: null });
  });
  for (const bad of [
    "",
    "*",
    "*.com",
    "*.10.0.0.1",
    "a:0",
    "a:65536",
    "a:b",
    "a:",
    "a b",
    "https://a",
    "a/b",
    "a.*.b",
  ])
    test(`none is ${JSON.stringify(bad)}, and the sentence says what was expected`, () => {
      expect(parseEntry(bad)).toEqual(expect.stringContaining(`"${bad}"`));
    });
});

describe("the lists", () => {
  test("allow a name on the web's ports, or on the one that is named", () => {
    const given = rules(["a.example", "b.example:8443"]);
    expect(outcome(given, "a.example", 443)).toBe("allowed");
    expect(outcome(given, "a.example", 80)).toBe("allowed");
    expect(outcome(given, "a.example", 22)).toBe("not-allowed");
    expect(outcome(given, "b.example", 8443)).toBe("allowed");
    expect(outcome(given, "b.example", 443)).toBe("not-allowed");
  });
  test("are met by no suffix, prefix or part of a name", () => {
    const given = rules(["a.example", "*.wild.example"]);
    for (const host of [
      "a.example.evil.test",
      "xa.example",
      "b.a.example",
      "example",
      "wild.example",
      "xwild.example",
    ])
      expect([host, outcome(given, host, 443)]).toEqual([host, "not-allowed"]);
    expect(outcome(given, "x.y.wild.example", 443)).toBe("allowed");
  });
  test("take an address for an address, however it is written, and for no name", () => {
    expect(outcome(rules(["10.0.0.1"]), "10.0.0.1", 80)).toBe("allowed");
    expect(outcome(rules(["10.0.0.1"]), "::ffff:a00:1", 80)).toBe("allowed");
    expect(outcome(rules(["*.0.0.example"]), "10.0.0.1", 80)).toBe("not-allowed");
  });
  test("deny before they allow, on every port unless one is named", () => {
    const given = rules(["*.a.example", "c.example"], ["b.a.example", "c.example:80"]);
    expect(outcome(given, "b.a.example", 443)).toBe("denied");
    expect(outcome(given, "x.a.example", 443)).toBe("allowed");
    expect(outcome(given, "c.example", 80)).toBe("denied");
    expect(outcome(given, "c.example", 443)).toBe("allowed");
  });
  test("hold the developer's last word", () => {
    const denied = denying(rules(["a.example"]), entry("a.example"));
    expect(outcome(denied, "a.example", 443)).toBe("denied");
    const again = allowing(denied, entry("a.example"));
    expect(outcome(again, "a.example", 443)).toBe("allowed");
    expect(allowing(again, entry("a.example"))).toEqual(again);
  });
});

describe("the kind of an address", () => {
  const kinds: [string, AddressKind][] = [
    ["93.184.216.34", "public"],
    ["2606:4700::1", "public"],
    ["127.0.0.1", "loopback"],
    ["127.255.0.9", "loopback"],
    ["::1", "loopback"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["10.1.2.3", "private"],
    ["172.16.0.1", "private"],
    ["172.32.0.1", "public"],
    ["192.168.1.1", "private"],
    ["::ffff:192.168.1.1", "private"],
    ["100.64.0.1", "private"],
    ["fd12::1", "private"],
    ["169.254.1.1", "link-local"],
    ["fe80::1", "link-local"],
    ["169.254.169.254", "metadata"],
    ["::ffff:169.254.169.254", "metadata"],
    ["fd00:ec2::254", "metadata"],
    ["0.0.0.0", "special"],
    ["::", "special"],
    ["224.0.0.1", "special"],
    ["255.255.255.255", "special"],
    ["64:ff9b::7f00:1", "special"],
    ["64:ff9b::a9fe:a9fe", "special"],
    ["2002:7f00:1::", "special"],
    ["::127.0.0.1", "special"],
    ["64:ff9b::5db8:d822", "public"],
    ["no address", "special"],
  ];
  for (const [address, kind] of kinds)
    test(`${address} is ${kind}`, () => expect(kindOf(address)).toBe(kind));
  test("is own where this machine has it, private or not", () => {
    expect(kindOf("10.0.0.7", ["10.0.0.7"])).toBe("own");
    expect(kindOf("::ffff:10.0.0.7", ["10.0.0.7"])).toBe("own");
    expect(kindOf("10.0.0.8", ["10.0.0.7"])).toBe("private");
    expect(sameAddress("::1", "0:0:0:0:0:0:0:1")).toBe(true);
  });
});
