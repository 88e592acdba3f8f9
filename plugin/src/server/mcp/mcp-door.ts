/**
 * The door for agents that speak the Model Context Protocol (https://modelcontextprotocol.io, Streamable HTTP without
 * sessions: each POST is a message and its answer). The tools are those of the plugin. Whoever comes through it acts as
 * the agent, with the developer's token too: an agent does not decide because of the token that somebody gave it.
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import { CallToolRequestSchema, ListToolsRequestSchema, type Tool } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { type DeskTool, deskTools } from "../../agent/desk-tools.ts";
import { waitForFeedback } from "../../agent/feedback-tool.ts";
import { systemText } from "../../agent/system-text.ts";
import { ReviewError } from "../../protocol/errors.ts";
import type { Context } from "../context.ts";

/** The tools by name, as far as the developer's settings let the agent call them. */
export function mcpTools(
  { desk, config }: Pick<Context, "desk" | "config">,
  project: string | undefined,
): Map<string, DeskTool> {
  const toolbox = { desk, project, hears: "asks" as const };
  const all: Record<string, DeskTool> = {
    ...deskTools(toolbox),
    wait_for_feedback: waitForFeedback(toolbox),
  };
  return new Map(Object.entries(all).filter(([, tool]) => !tool.decides || config.agentMayApprove));
}

function described([name, { description, args }]: [string, DeskTool]): Tool {
  const { $schema: _, ...inputSchema } = z.toJSONSchema(z.strictObject(args), { io: "input" });
  return { name, description, inputSchema: inputSchema as Tool["inputSchema"] };
}

/**
 * One message.
 * @param message its parsed body
 * @param isAllowed whether the token that it came with still counts
 * @param project the agent's repository; undefined for the only one
 * @throws ReviewError `not_found` for a repository that this server does not have
 */
export async function answerMcp(
  context: Context,
  request: Request,
  message: unknown,
  project: string | undefined,
  isAllowed: () => boolean,
): Promise<Response> {
  if (Array.isArray(message))
    throw new ReviewError("invalid_request", "Request body: expected one message, not a list of them");
  // Said to whoever sets the client up, before any tool is called.
  if (project !== undefined) context.desk.projectDir(project);
  const tools = mcpTools(context, project);
  const server = new Server(
    { name: "suggestion-manager", version: context.version },
    { capabilities: { tools: {} }, instructions: systemText("asks") },
  );
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...tools].map(described) }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    const text = (said: string, isError: boolean) => ({
      content: [{ type: "text" as const, text: said }],
      isError,
    });
    const tool = tools.get(params.name);
    if (tool === undefined)
      return text(`${params.name}: no such tool here; there are ${[...tools.keys()].join(", ")}`, true);
    try {
      return text(await tool.run(params.arguments, { signal: request.signal, isThere: isAllowed }), false);
    } catch (thrown) {
      return text((thrown as Error).message, true);
    } finally {
      context.feed.flush();
    }
  });
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
  await server.connect(transport);
  // The library answers nobody who is gone, and then does not come back.
  const gone = Promise.withResolvers<Response>();
  const left = () => gone.resolve(new Response(null, { status: 499 }));
  request.signal.addEventListener("abort", left, { once: true });
  try {
    return await Promise.race([transport.handleRequest(request, { parsedBody: message }), gone.promise]);
  } finally {
    request.signal.removeEventListener("abort", left);
    void server.close();
  }
}
