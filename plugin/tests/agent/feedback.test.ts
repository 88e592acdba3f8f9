/** Feedback reaches the agent's session exactly once, however often the host is killed on the way. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hunk } from "../../src/protocol/model.ts";
import { prepareField, randomness } from "../settle/stress.ts";
import { missingOpencode, startOpencode, until } from "./opencode.ts";

const LONG = process.env.SUGGESTION_LONG === "1";
const KILLS = LONG ? 25 : 2;
setDefaultTimeout(LONG ? 900_000 : 120_000);

interface Message {
  parts: { type: string; text?: string; metadata?: Record<string, unknown> }[];
}

// Skipped where opencode is not provisioned; where CI is set that fails the run.
test.skipIf(missingOpencode() !== null)(
  "each decision is in the session once, over kill -9 of the host",
  async () => {
    const root = mkdtempSync(join(tmpdir(), "sm-feedback-"));
    const field = prepareField(root);
    const random = randomness(99);
    // A hunk for each decision: of two on the same hunk the agent would be told the later one only.
    for (let file = 0; file < 3 * (KILLS + 1); file++)
      writeFileSync(join(field.dir, `own${file}.txt`), "mine\n");
    const publish = [
      { calls: [{ tool: "publish_suggestion", args: { description: "Under review" } }] },
      { text: "published" },
    ];
    const opencode = await startOpencode(root, field.dir, {
      conversations: [{ when: "^publish it$", turns: publish }],
    });
    try {
      const { id: session } = await opencode.call<{ id: string }>("/session", {});
      await opencode.call(`/session/${session}/message`, { parts: [{ type: "text", text: "publish it" }] });
      const { body } = await opencode.desk<{ suggestions: { id: string }[] }>("/suggestions");
      const suggestion = body.suggestions[0]?.id as string;
      const { hunks } = (await opencode.desk<{ hunks: Hunk[] }>(`/suggestions/${suggestion}/hunks?limit=500`))
        .body;
      const own = hunks.filter(({ file }) => file.startsWith("own"));
      const texts = async () => {
        const messages = await opencode.call<Message[]>(`/session/${session}/message`);
        return messages.flatMap(({ parts }) =>
          parts.filter((part) => part.metadata?.suggestion_manager_delivery !== undefined),
        );
      };
      const said: string[] = [];
      for (let round = 0; round <= KILLS; round++) {
        const burst = 1 + random(3);
        for (let index = 0; index < burst; index++) {
          const mark = `reason-${round}-${index}.`;
          const hunk = own[said.length] as Hunk;
          const answer = await opencode.desk("/feedback", {
            suggestion_id: suggestion,
            hunk_id: hunk.id,
            action: "reject",
            comment: mark,
          });
          expect(answer.status).toBe(200);
          said.push(mark);
        }
        if (round === KILLS) break;
        // The burst goes out after 250 ms or, just after a start, some seconds: before, while or after that.
        await Bun.sleep(random(LONG ? 3500 : 500));
        await opencode.kill();
        await opencode.start();
      }
      const count = async (mark: string) =>
        (await texts()).filter((part) => part.text?.includes(mark)).length;
      await until(
        "the last feedback is in the session",
        async () => (await count(said.at(-1) as string)) > 0,
      );
      const parts = await texts();
      const counts = said.map((mark) => parts.filter((part) => part.text?.includes(mark)).length);
      process.stderr.write(
        `feedback: ${said.length} decisions, ${KILLS} kills, ${parts.length} messages, each once: ${counts.every((n) => n === 1)}\n`,
      );
      expect(counts).toEqual(said.map(() => 1));
      expect(new Set(parts.map((part) => part.metadata?.suggestion_manager_delivery)).size).toBe(
        parts.length,
      );
      // Merged where nothing came between.
      expect(parts.length).toBeLessThanOrEqual(2 * (KILLS + 1));
    } finally {
      await opencode.stop();
      rmSync(root, { recursive: true, force: true });
    }
  },
);
