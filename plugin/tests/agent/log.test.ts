/** Events reach opencode's own log too, for whoever follows that instead of the server's channels. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareField } from "../settle/stress.ts";
import { missingOpencode, startOpencode, until } from "./opencode.ts";

setDefaultTimeout(120_000);

// Skipped where opencode is not provisioned; where CI is set that fails the run.
test.skipIf(missingOpencode() !== null)(
  "each event of the journal is in opencode's log, with its type; no token is",
  async () => {
    const root = mkdtempSync(join(tmpdir(), "sm-log-"));
    const field = prepareField(root);
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
      const id = body.suggestions[0]?.id ?? "";
      await opencode.desk("/complete", { suggestion_id: id, action: "discard" });
      const log = () => readFileSync(join(root, "opencode.log"), "utf8");
      const logged = (type: string) =>
        log()
          .split("\n")
          .some((line) => line.includes("plugin=suggestion-manager") && line.includes(`eventType=${type}`));
      for (const type of ["suggestion.ready", "suggestion.completed"]) {
        await until(`${type} in opencode's log`, () => logged(type));
      }
      const state = join(root, "state");
      for (const name of ["token", "agent-token"]) {
        expect(log()).not.toContain(readFileSync(join(state, name), "utf8").trim());
      }
    } finally {
      await opencode.stop();
      rmSync(root, { recursive: true, force: true });
    }
  },
);
