/**
 * An MCP server (2025-06-18, over standard input and output) that runs by itself: `bun mcp-server.ts`. Its one tool, `run`, runs
 * a script of bash and gives back what that printed, with what the server was given in GIVEN.
 */
import { createInterface } from "node:readline";

interface Request {
  id?: number | string;
  method: string;
  params?: { protocolVersion?: string; arguments?: { script?: string } };
}

const TOOL = {
  name: "run",
  description: "Runs a script",
  inputSchema: { type: "object", properties: { script: { type: "string" } }, required: ["script"] },
};

async function answer({ method, params }: Request): Promise<unknown> {
  if (method === "initialize")
    return {
      protocolVersion: params?.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: "tries", version: "1" },
    };
  if (method === "tools/list") return { tools: [TOOL] };
  if (method !== "tools/call") return {};
  const child = Bun.spawn(["bash", params?.arguments?.script ?? ""], { stdout: "pipe", stderr: "ignore" });
  const text = `given ${process.env.GIVEN}\n${await new Response(child.stdout).text()}`;
  return { content: [{ type: "text", text }] };
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Request;
  if (request.id === undefined) continue;
  const result = await answer(request);
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: request.id, result })}\n`);
}
