/** The agent's tools as opencode takes them from a plugin. */
import { type ToolDefinition, tool } from "@opencode-ai/plugin";
import type { ReviewDesk } from "../review/contract.ts";
import { type DeskTool, deskTools } from "./desk-tools.ts";

/** What opencode's own copy of the schema library calls an object's fields. */
type Args = Parameters<typeof tool>[0]["args"];

/**
 * @param project directory of the agent's repository, as the desk knows it
 * @param rootOf the session that a published suggestion belongs to: of a subagent, the one that started it
 */
export function createTools(
  desk: ReviewDesk,
  project: string,
  rootOf: (session: string) => Promise<string>,
): Record<string, ToolDefinition> {
  const tools: [string, DeskTool][] = Object.entries(deskTools({ desk, project, hears: "told" }));
  return Object.fromEntries(
    tools.map(([name, { description, args, run }]) => [
      name,
      tool({
        description,
        args: args as Args,
        execute: (given, context) => run(given, { session: () => rootOf(context.sessionID) }),
      }),
    ]),
  );
}
