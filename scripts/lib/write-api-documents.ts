/**
 * `npm run api-documents`: writes docs/openapi.json, docs/asyncapi.json, docs/npm-start.txt (the help of `npm
 * start`) and the README's table of settings anew; tests compare them with what they are made from.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { optionTable } from "../../plugin/src/options.ts";
import { asyncApiDocument } from "../../plugin/src/server/documents/asyncapi.ts";
import { openApiDocument } from "../../plugin/src/server/documents/openapi.ts";
import { ROUTES } from "../../plugin/src/server/routes.ts";
import { VERSION } from "../../plugin/src/version.ts";
import { USAGE } from "../start/options.ts";

const ROOT = join(import.meta.dir, "../..");

/** As `npm test -- check` wants it, so that only what is new shows as a difference. */
function formatted(path: string, document: object): string {
  const biome = join(ROOT, "node_modules/.bin/biome");
  const { stdout, stderr, success } = Bun.spawnSync([biome, "format", `--stdin-file-path=${path}`], {
    cwd: ROOT,
    stdin: Buffer.from(JSON.stringify(document, null, 2)),
  });
  if (!success) throw new Error(`${path}: ${stderr}`);
  return stdout.toString();
}

const documents = {
  "docs/openapi.json": openApiDocument(ROUTES, VERSION),
  "docs/asyncapi.json": asyncApiDocument(VERSION),
};
for (const [path, document] of Object.entries(documents))
  writeFileSync(join(ROOT, path), formatted(path, document));

writeFileSync(join(ROOT, "docs/npm-start.txt"), USAGE);

const readme = join(ROOT, "README.md");
const TABLE = /^\| option \| flag \|.*\n(?:\|.*\n)*/m;
writeFileSync(
  readme,
  readFileSync(readme, "utf8").replace(TABLE, () => `${optionTable()}\n`),
);
