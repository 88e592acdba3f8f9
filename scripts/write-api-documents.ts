/**
 * `npm run api-documents`: writes docs/openapi.json, docs/asyncapi.json and the README's table of settings anew; tests
 * compare them with the server's.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { optionTable } from "../plugin/src/options.ts";
import { asyncApiDocument } from "../plugin/src/server/documents/asyncapi.ts";
import { openApiDocument } from "../plugin/src/server/documents/openapi.ts";
import { ROUTES } from "../plugin/src/server/routes.ts";
import { VERSION } from "../plugin/src/version.ts";

const documents = {
  "docs/openapi.json": openApiDocument(ROUTES, VERSION),
  "docs/asyncapi.json": asyncApiDocument(VERSION),
};
for (const [path, document] of Object.entries(documents))
  writeFileSync(join(import.meta.dir, "..", path), `${JSON.stringify(document, null, 2)}\n`);

const readme = join(import.meta.dir, "../README.md");
const TABLE = /^\| option \| flag \|.*\n(?:\|.*\n)*/m;
writeFileSync(
  readme,
  readFileSync(readme, "utf8").replace(TABLE, () => `${optionTable()}\n`),
);
