/** A question before something is removed. */
import { createInterface } from "node:readline/promises";
import { say } from "./report.ts";

export async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    say("nothing was removed: add --yes to do it without being asked");
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(question);
  terminal.close();
  if (answer.trim() === "yes") return true;
  say("nothing was removed");
  return false;
}
