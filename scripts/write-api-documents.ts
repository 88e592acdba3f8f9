/** `npm run api-documents`: writes docs/openapi.json and docs/asyncapi.json anew, which a test compares with the server's. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
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
