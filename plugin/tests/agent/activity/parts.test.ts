/** What of the host's parts is kept: no more than there is room for, and what is left out is told. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { permissionBody } from "../../../src/agent/activity/parts.ts";

const bytes = (text: string) => Buffer.byteLength(text);

test("a permission tells how much of it is left out", () => {
  const long = fc.tuple(fc.nat(3), fc.string({ unit: "grapheme" })).map(([times, text]) =>
    // Around the bounds as well as below them.
    text.repeat(times === 3 ? 30_000 : times),
  );
  const patterns = fc.array(fc.string(), { maxLength: 100 });
  fc.assert(
    fc.property(long, long, patterns, (command, diff, always) => {
      const body = permissionBody({
        id: "per_1",
        sessionID: "ses_1",
        permission: "bash",
        patterns: [command],
        always,
        metadata: { command, diff },
      });
      const shown = [body.command ?? "", body.diff ?? "", ...body.patterns, ...body.always];
      const asked = [command, diff, command, ...always];
      const sum = (texts: string[]) => texts.reduce((all, text) => all + bytes(text), 0);
      expect(sum(shown) + body.cut).toBe(sum(asked));
      for (const text of shown) expect(asked.some((whole) => whole.startsWith(text))).toBe(true);
    }),
    { numRuns: 60 },
  );
});
