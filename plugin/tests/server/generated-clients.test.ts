/** Clients that generators make of docs/openapi.json compile under strict TypeScript and drive a whole review. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentRepository, Place } from "./place.ts";

setDefaultTimeout(60_000);

const ROOT = join(import.meta.dir, "../../..");
/** Below node_modules, so that what they import is found. */
const DIR = join(ROOT, "node_modules", ".cache", `generated-clients-${process.pid}`);
const DOCUMENT = join(ROOT, "docs/openapi.json");
const environment = { ...process.env, BUN_BE_BUN: "1", NO_COLOR: "1" };

async function run(args: string[], env: Record<string, string> = {}): Promise<string> {
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: DIR,
    env: { ...environment, ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`${args.join(" ")}: ${code}\n${out}${err}`);

  return out;
}

async function compile(file: string): Promise<void> {
  const config = `tsconfig.${file}.json`;
  const compilerOptions = {
    target: "ESNext",
    module: "ESNext",
    moduleResolution: "Bundler",
    lib: ["ESNext", "DOM", "DOM.Iterable"],
    types: ["node"],
    typeRoots: [join(ROOT, "node_modules/@types")],
    strict: true,
    noUncheckedIndexedAccess: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true,
  };
  writeFileSync(join(DIR, config), JSON.stringify({ compilerOptions, files: [file] }));
  await run([join(ROOT, "node_modules/typescript/bin/tsc"), "-p", config]);
}

beforeAll(() => void mkdirSync(DIR, { recursive: true }));
afterAll(() => rmSync(DIR, { recursive: true, force: true }));

/** On a server of its own: one of one project alone needs no name for it. */
async function review(file: string): Promise<void> {
  copyFileSync(join(import.meta.dir, "generated-clients", file), join(DIR, file));
  await compile(file);
  const at = await Place.open();
  const agent = await AgentRepository.add(at);
  agent.edit("src/a.ts", (text) =>
    text.replace("line 3\n", "line three\n").replace("line 30\n", "line thirty\n"),
  );
  const out = await run([file], { URL: at.url, DEVELOPER: at.developer, AGENT: at.agent });
  const said = JSON.parse(out);
  expect(said).toMatchObject({ hunks: 2, rejected: "rejected", refused: "stale_hunk", action: "finalized" });
  expect(said.listed).toHaveLength(1);
  expect(said.event).toBe(said.ref);
  await at.stop();
}

test("E8: a client made by openapi-typescript compiles and drives a review", async () => {
  await run([
    join(ROOT, "node_modules/openapi-typescript/bin/cli.js"),
    DOCUMENT,
    "-o",
    "schema.ts",
    "--default-non-nullable=false",
  ]);
  await review("openapi-fetch.ts");
});

test("E8: a client made by @hey-api/openapi-ts compiles and drives a review", async () => {
  // Bun runs it, since it wants a later Node than the oldest that is supported here.
  const generate = `import { createClient } from "@hey-api/openapi-ts";
await createClient({ input: ${JSON.stringify(DOCUMENT)}, output: ${JSON.stringify(join(DIR, "hey"))} });`;
  writeFileSync(join(DIR, "generate.ts"), generate);
  await run(["generate.ts"]);
  await review("hey-api.ts");
});
