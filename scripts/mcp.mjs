// @ts-check
// npm run --silent mcp -- --token-file FILE [--url http://127.0.0.1:4097] [--project DIR]: a running server for an
// agent that speaks the Model Context Protocol on standard input and output. Passes messages on and knows none of them.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { ROOT } from "./lib/bootstrap.mjs";
import { ensureDependencies } from "./lib/dependencies.mjs";

const USAGE = `usage: node scripts/mcp.mjs --token-file FILE [--url URL] [--project DIR]

  --token-file FILE   the agent's token, which the server keeps in its state directory as agent-token
  --url URL           address of the server (http://127.0.0.1:4097)
  --project DIR       the agent's repository, where the server has several
`;

/** @param {string} message @returns {never} */
function stop(message) {
  process.stderr.write(`mcp: ${message}\n`);
  process.exit(2);
}

/** @returns {{ "token-file"?: string, url: string, project?: string, help: boolean }} */
function options() {
  try {
    return parseArgs({
      options: {
        "token-file": { type: "string" },
        url: { type: "string", default: "http://127.0.0.1:4097" },
        project: { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return stop(`${/** @type {Error} */ (error).message}\n${USAGE}`);
  }
}

const given = options();
if (given.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const file = given["token-file"] ?? stop(`--token-file: expected the path of the agent's token\n${USAGE}`);
const token = (await readFile(file, "utf8").catch((error) => stop(`--token-file: ${error.message}`))).trim();
// No server is asked to prove itself here: what is sent to it must not be worth stealing.
if (!token.startsWith("sma_")) {
  stop(
    `--token-file: ${file} does not hold an agent's token, which begins with sma_; the developer's is for nobody else`,
  );
}
if (!URL.canParse(given.url)) stop("--url: expected an address such as http://127.0.0.1:4097");
const address = new URL("/mcp", given.url);
if (given.project !== undefined) address.searchParams.set("project", given.project);

await ensureDependencies({ root: ROOT, log: (line) => void process.stderr.write(`set-up: ${line}\n`) });
const { StdioServerTransport } = await import("@modelcontextprotocol/sdk/server/stdio.js");
const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");

const near = new StdioServerTransport();
const far = new StreamableHTTPClientTransport(address, {
  requestInit: { headers: { Authorization: `Bearer ${token}` } },
});

/** @param {string} message */
const say = (message) => void process.stderr.write(`mcp: ${message}\n`);

near.onmessage = (message) => {
  far.send(message).catch((error) => {
    const reason = `${given.url}: ${error.message}`;
    say(reason);
    // Whoever asked waits for an answer.
    if ("id" in message && "method" in message)
      void near.send({ jsonrpc: "2.0", id: message.id, error: { code: -32000, message: reason } });
  });
};
far.onmessage = (message) => void near.send(message);
near.onerror = (error) => say(error.message);
far.onerror = () => undefined; // said where it was sent
await far.start();
await near.start();
// The SDK's transport does not notice that its input has ended.
process.stdin.on("end", () => process.exit(0));
