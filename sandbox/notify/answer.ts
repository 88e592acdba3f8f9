/**
 * Answers every call that the filter asks about: no. Runs by itself, as `answer.ts FILE`, outside of that filter: it gets the
 * listener through descriptor 3 and ends with the last process under the filter. Where it ends before, the kernel refuses
 * by itself (ENOSYS). Nothing but the next call is waited for: it is not to be what holds a command up.
 */
import { writeSync } from "node:fs";
import { TERMINAL_REQUESTS } from "../seccomp.ts";
import { ARCHITECTURES, reasonOf } from "../system-calls.ts";
import { Listener, type Notice, receiveDescriptor } from "./libc.ts";
import { Tally } from "./tally.ts";
import { type Who, whoIs } from "./who.ts";

const EVERY_MS = 500;
const NOBODY: Who = { program: "" };

const [path = ""] = process.argv.slice(2);
const names = ARCHITECTURES[process.arch]?.names ?? new Map<number, string>();

const nameOf = ({ number, request }: Notice): string =>
  names.get(number) ?? TERMINAL_REQUESTS.get(request) ?? `system call ${number}`;

function answerAll(listener: Listener): void {
  const tally = new Tally(path);
  // A process that asks again and again is looked at once between two writings.
  const known = new Map<number, Who>();
  let next = Date.now() + EVERY_MS;
  for (;;) {
    const notice = listener.next(tally.isEmpty ? -1 : Math.max(0, next - Date.now()));
    if (notice !== null && notice !== "ended") {
      // As long as it waits it is the one that it is.
      const who = known.get(notice.pid) ?? whoIs(notice.pid);
      const waited = listener.refuse();
      if (waited) known.set(notice.pid, who);
      const name = nameOf(notice);
      if (tally.isEmpty) next = Date.now() + EVERY_MS;
      // Somebody who was killed meanwhile may have left its number to another.
      tally.add(name, reasonOf(name), waited ? who : NOBODY);
    }
    if (notice === "ended" || Date.now() >= next) {
      tally.write();
      known.clear();
      next = Date.now() + EVERY_MS;
    }
    if (notice === "ended") return;
  }
}

writeSync(1, "ready\n");
const descriptor = receiveDescriptor(3);
if (descriptor !== null) answerAll(new Listener(descriptor));
process.exit(0);
