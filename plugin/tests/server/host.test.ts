/** Two processes of one user, as two opencode windows are: one has the port, the other works on without it. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { loadConfig } from "../../src/config.ts";
import { startHost, TAKE_OVER_MS } from "../../src/process.ts";
import { temporaryDirectory, until } from "./place.ts";

setDefaultTimeout(60_000);

test("the second process shares the first one's server, and takes the port over when that one ends", async () => {
  const stateDir = temporaryDirectory("host");
  const options = {
    state_dir: stateDir,
    feedback_log: join(stateDir, "feedback.jsonl"),
    log_level: "silent",
  };
  const first = await startHost(loadConfig({ ...options, port: 0 }, { HOME: stateDir }));
  const { port } = new URL(first.url);
  const second = await startHost(loadConfig({ ...options, port: Number(port) }, { HOME: stateDir }));
  expect([second.server, second.url]).toEqual([null, first.url]);

  const headers = { Authorization: `Bearer ${readFileSync(join(stateDir, "token"), "utf8").trim()}` };
  const told = async (): Promise<string[]> => {
    const answer = await fetch(`${first.url}/events?since=0`, { headers });
    const { events } = (await answer.json()) as { events: { message: string }[] };
    return events.map(({ message }) => message);
  };
  const say = (host: typeof first, message: string) =>
    host.desk.ledger.emit("/p", { type: "suggestion.status", status: "working", message });
  say(second, "from the second, served by the first");
  expect(await told()).toEqual(["from the second, served by the first"]);

  await first.stop();
  await until(() => second.server !== null, "the port taken over", 20_000);
  say(second, "served by the second");
  expect(await told()).toEqual(["from the second, served by the first", "served by the second"]);
  await second.stop();
  expect(await fetch(`${first.url}/health`).catch(() => "refused")).toBe("refused");
  rmSync(stateDir, { recursive: true });
});

test("a process that is stopped while it waits for the port never takes it", async () => {
  const stateDir = temporaryDirectory("host");
  const options = {
    state_dir: stateDir,
    feedback_log: join(stateDir, "feedback.jsonl"),
    log_level: "silent",
  };
  const first = await startHost(loadConfig({ ...options, port: 0 }, { HOME: stateDir }));
  const port = Number(new URL(first.url).port);
  const second = await startHost(loadConfig({ ...options, port }, { HOME: stateDir }));
  await second.stop();
  await first.stop();
  await Bun.sleep(TAKE_OVER_MS + 500);
  expect(await fetch(`${first.url}/health`).catch(() => "refused")).toBe("refused");
  rmSync(stateDir, { recursive: true });
});
