// @ts-check
// node scripts/provision.mjs [--group runtime|dev|all] [--json] [--verify]
// Provides the tools the product needs in .tools/bin. Progress goes to stderr; --json prints the result on stdout.
import { realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ProvisionError } from "./provision/errors.mjs";
import { provision } from "./provision/provision.mjs";
import { stopChildren } from "./provision/run.mjs";

export { copyTools } from "./provision/copy.mjs";
export { ProvisionError } from "./provision/errors.mjs";
export { provision } from "./provision/provision.mjs";

const usage = "node scripts/provision.mjs [--group runtime|dev|all] [--json] [--verify]";

async function main() {
  for (const [signal, code] of /** @type {const} */ ([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ]))
    process.once(signal, () => {
      stopChildren();
      process.exit(code);
    });
  const log = (/** @type {string} */ line) => process.stderr.write(`provision: ${line}\n`);
  try {
    const { values } = parseArgs({
      options: {
        group: { type: "string", default: "runtime" },
        json: { type: "boolean" },
        verify: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
    if (values.help) return void process.stdout.write(`${usage}\n`);
    const root = join(dirname(fileURLToPath(import.meta.url)), "..");
    const result = await provision({ root, tools: [values.group], log, verify: values.verify });
    log(
      `all in place: ${Object.entries(result.found)
        .map(([name, { version }]) => `${name} ${version}`)
        .join(", ")}`,
    );
    if (values.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  } catch (error) {
    const wrongUse = /** @type {NodeJS.ErrnoException} */ (error).code?.startsWith("ERR_PARSE_ARGS");
    if (!wrongUse && !(error instanceof ProvisionError)) throw error;
    log(`${/** @type {Error} */ (error).message}${wrongUse ? `\nusage: ${usage}` : ""}`);
    process.exitCode = wrongUse ? 2 : 1;
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
