/**
 * Command: replaces the token of one role. A running server notices within half a second and closes the sockets that
 * were opened with the old one (code 4001). Prints where the new token is, never the token.
 *
 *     bun plugin/src/server/tokens/rotate-token.ts --state DIR [--role developer|agent] [--sha256 HEX]
 */
import { parseArgs } from "node:util";
import { loadConfig } from "../../config.ts";
import { Actor } from "../../protocol/model.ts";
import { rotate, TokenHash } from "./token-file.ts";

const { values } = parseArgs({
  options: {
    state: { type: "string" },
    role: { type: "string", default: "developer" },
    sha256: { type: "string" },
  },
});

const role = Actor.safeParse(values.role);
const hash = TokenHash.optional().safeParse(values.sha256);
if (!role.success) {
  console.error("--role: expected developer or agent");
  process.exitCode = 2;
} else if (!hash.success) {
  console.error("--sha256: expected 64 characters of lower-case hex");
  process.exitCode = 2;
} else {
  const stateDir = values.state ?? loadConfig({}).stateDir;
  const file = rotate(stateDir, role.data, hash.data);
  console.log(file === null ? "The new token's hash is in force." : `New token: ${file}`);
}
