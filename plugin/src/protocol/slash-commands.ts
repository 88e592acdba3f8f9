/** The host's slash commands: texts that are kept under a name and sent as prompts. */
import { z } from "zod";

export const SlashName = z
  .string()
  .min(1)
  .max(256)
  .describe("A slash command of opencode's, without the slash, as GET /agent/commands names it");

export const SlashArguments = z
  .string()
  .max(65_536)
  .describe("What the command is given; quotes keep words together. Only with command");

export const SlashCommand = z.object({
  name: z.string(),
  description: z.string(),
  arguments: z.boolean().describe("Its text has a place for arguments; else they stand at its end"),
  source: z.string().describe("Where opencode has it from, such as command, mcp or skill"),
  agent: z.string().optional().describe("Who answers it, this once; else as with any prompt"),
  model: z.string().optional().describe("provider/model that answers it, this once"),
  subagent: z.boolean().describe("A subagent does it, in a session of its own"),
  refused: z.string().optional().describe("Why it does not run from here"),
});
export type SlashCommand = z.infer<typeof SlashCommand>;

export const SlashCommandsQuery = z.strictObject({ project: z.string().optional() });
export type SlashCommandsQuery = z.infer<typeof SlashCommandsQuery>;

export const SlashCommandsAnswer = z.object({ commands: z.array(SlashCommand) });
export type SlashCommands = z.infer<typeof SlashCommandsAnswer>;
