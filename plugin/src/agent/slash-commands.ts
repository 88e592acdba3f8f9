/**
 * The host's slash commands, put together here and sent as prompts: whoever wrote a command (the agent can write skills
 * into its repository) gets by it no more than by a prompt.
 */
import type { PluginInput } from "@opencode-ai/plugin";
import type { Command as SdkCommand, SubtaskPartInput } from "@opencode-ai/sdk/v2";
import type { SlashCommand } from "../protocol/slash-commands.ts";
import type { Speaker } from "../review/ledger/sessions.ts";
import { hostFailure, noSuch, refusedCommand } from "./host-failure.ts";
import { runsShell, slashText, takesArguments } from "./slash-text.ts";

type Client = PluginInput["client"];
type Agent = NonNullable<Awaited<ReturnType<Client["app"]["agents"]>>["data"]>[number];

/** A prompt, before it is marked. */
export interface Prompt {
  text: string;
  /** What a subagent is to do: the text is then for the developer alone. */
  subtask?: SubtaskPartInput;
  speaker: Speaker;
  /** Who answers what comes after, where the prompt is answered by somebody else. */
  afterwards?: Speaker;
}

const SHELL =
  "it runs a shell command by itself (!`…`), which nobody is asked about: say in words what the agent is to run";
const NO_TEXT = "opencode makes its text anew each time: it cannot be looked at before it is sent";

export class SlashCommands {
  constructor(
    private readonly client: Client,
    private readonly directory: string,
  ) {}

  async list(): Promise<SlashCommand[]> {
    const [commands, agents] = await Promise.all([this.#commands(), this.#agents()]);
    return commands.map((command) => {
      const { name, description, source, agent, model, template } = command;
      const refused = whyNot(command);
      return {
        name,
        description: description ?? "",
        arguments: typeof template === "string" && takesArguments(template),
        source: source ?? "command",
        ...(agent == null ? {} : { agent }),
        ...(model == null ? {} : { model }),
        subagent: isSubtask(command, agentOf(agents, agent)),
        ...(refused === null ? {} : { refused }),
      };
    });
  }

  /** @throws ReviewError `invalid_request` where there is no such command, or it is not to be run from here */
  async check(name: string): Promise<void> {
    await this.#find(name);
  }

  /**
   * @param base who answers in the session
   * @param attached goes along at the end
   */
  async prompt(name: string, given: string, base: Speaker, attached: readonly string[]): Promise<Prompt> {
    const [command, agents] = await Promise.all([this.#find(name), this.#agents()]);
    const text = [slashText(command.template, given), ...attached].join("\n\n");
    const own = command.agent == null ? undefined : agentOf(agents, command.agent);
    if (command.agent != null && own === undefined)
      throw noSuch(
        "command",
        `agent ${command.agent}, which ${name} names`,
        agents.map((one) => one.name),
      );
    const chosen = named(command.model) ?? own?.model;
    const speaker = await this.#whole(base, agents);
    const whole = own ?? agentOf(agents, speaker.agent);
    if (isSubtask(command, whole)) {
      const model = chosen ?? base.model;
      return {
        text: `/${name} ${given}`.trim(),
        subtask: {
          type: "subtask",
          agent: own?.name ?? speaker.agent,
          description: command.description ?? "",
          command: name,
          prompt: text,
          ...(model === undefined ? {} : { model }),
        },
        speaker,
      };
    }
    if (own === undefined && chosen === undefined) return { text, speaker: base };
    const { variant: _, ...rest } = speaker;
    const once = chosen === undefined ? speaker : { ...rest, model: chosen };
    return {
      text,
      speaker: own === undefined ? once : { ...once, agent: own.name },
      afterwards: speaker,
    };
  }

  /** Where nothing was chosen the host has defaults: it lists that agent first, and has that model in its settings. */
  async #whole(base: Speaker, agents: readonly Agent[]): Promise<Speaker & { agent: string }> {
    const usual = base.agent === undefined ? agents.find(isSpokenWith) : agentOf(agents, base.agent);
    const agent = base.agent ?? usual?.name ?? "build";
    if (base.model !== undefined) return { ...base, agent };
    const { data } = await this.client.config.get({ query: { directory: this.directory } });
    const model = usual?.model ?? named(data?.model);
    return { ...base, agent, ...(model === undefined ? {} : { model }) };
  }

  async #find(name: string): Promise<SdkCommand> {
    const commands = await this.#commands();
    const command = commands.find((one) => one.name === name);
    if (command === undefined)
      throw noSuch(
        "command",
        name,
        commands.map((one) => one.name),
      );
    const refused = whyNot(command);
    if (refused === null) return command;
    throw refusedCommand(name, refused);
  }

  async #commands(): Promise<SdkCommand[]> {
    const { data, error } = await this.client.command.list({ query: { directory: this.directory } });
    if (data === undefined) throw hostFailure("opencode names no commands", error);
    return data as SdkCommand[];
  }

  async #agents(): Promise<Agent[]> {
    const { data, error } = await this.client.app.agents({ query: { directory: this.directory } });
    if (data === undefined) throw hostFailure("opencode names no agents", error);
    return data;
  }
}

function whyNot({ template }: SdkCommand): string | null {
  if (typeof template !== "string" || template === "") return NO_TEXT;
  return runsShell(template) ? SHELL : null;
}

const agentOf = (agents: readonly Agent[], name: string | undefined): Agent | undefined =>
  agents.find((one) => one.name === name);

const isSpokenWith = (agent: Agent): boolean =>
  agent.mode !== "subagent" && (agent as { hidden?: boolean }).hidden !== true;

/** As the host decides it. */
const isSubtask = ({ subtask }: SdkCommand, agent: Agent | undefined): boolean =>
  subtask === true || (agent?.mode === "subagent" && subtask !== false);

function named(model: string | null | undefined): Speaker["model"] {
  if (model == null) return undefined;
  const slash = model.indexOf("/");
  return { providerID: model.slice(0, slash), modelID: model.slice(slash + 1) };
}
