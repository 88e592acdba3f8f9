/**
 * Becomes a program whose refused system calls are told: `told.ts FILE FOLDER PROGRAM …`. Starts who answers for them
 * (answer.ts, beside it), puts the filter on itself and becomes the program, in FOLDER. Where the kernel gives no listener
 * the calls are refused all the same, and nobody is told.
 */
import { join } from "node:path";
import { seccompFilter } from "../seccomp.ts";
import { become, libc, listen, sendDescriptor, socketPair } from "./libc.ts";

const [file = "", folder = "", ...program] = process.argv.slice(2);
const filter = seccompFilter(process.arch, "outer", "notify");
if (filter === null) throw new Error(`there is no filter of system calls for ${process.arch}`);
libc();

const [ours, theirs] = socketPair();
const answering = Bun.spawn([process.execPath, "--no-env-file", join(import.meta.dir, "answer.ts"), file], {
  stdio: ["ignore", "pipe", "inherit", theirs],
});
const reader = answering.stdout.getReader();
const { value } = await reader.read();
const isReady = value !== undefined;
const descriptor = isReady ? listen(filter) : null;
if (descriptor === null || !sendDescriptor(ours, descriptor)) {
  process.stderr.write("Refused system calls are not told here: the kernel gives no listener for them\n");
  answering.kill();
}
process.chdir(folder);
become(program);
process.stderr.write(`${program[0]} cannot be run\n`);
process.exit(127);
