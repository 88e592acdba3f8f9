/** The WebSocket's messages as an AsyncAPI 3.0 document, from the schemas that validate. */
import { ActivityMessage } from "../../protocol/activity.ts";
import { Command, Response } from "../../protocol/commands.ts";
import { STAMPED_EVENTS } from "../../protocol/events.ts";
import { CLOSE_CODES } from "../socket/close-codes.ts";
import { type JsonObject, SchemaWriter } from "./json-schema.ts";

const ABOUT = `One text message is one JSON object of at most 1 MiB. Commands are answered by a \`response\` that echoes their \`id\`; answers may overtake each other.

Events come from the moment of connecting. \`{"type":"subscribe","since":N}\` replays everything after sequence number N from the journal and then goes on live: no gap, nothing twice, the same bytes as were sent live. A client that was away for however long reconnects and subscribes since the last \`seq\` it has.

\`{"type":"watch","since":N}\` does the same for what the agent does, to the developer's token alone: \`agent.activity\` messages, each with an entry in its present form. Entries are taken in by \`id\` and shown by \`position\`; one that says \`dropped\` ends all others of its root session up to \`upto\`. A reader that is slow passes over forms that were replaced meanwhile and comes to the same view.

Close codes:
${CLOSE_CODES.map(({ code, sentBy, meaning }) => `- ${code} (${sentBy}): ${meaning}`).join("\n")}`;

function messageName(type: string): string {
  return type.replace(/[^A-Za-z0-9]/g, "_");
}

/** The value of a message's `type`. */
function typeOf(schema: JsonObject): string {
  const properties = schema.properties as { type?: { const?: unknown } } | undefined;
  return String(properties?.type?.const ?? "message");
}

export function asyncApiDocument(version: string): JsonObject {
  const writer = new SchemaWriter("input");
  const messages: JsonObject = {};
  const names: Record<"command" | "event", string[]> = { command: [], event: [] };
  const add = (kind: "command" | "event", payload: JsonObject): void => {
    const type = typeOf(payload);
    const name = `${kind}_${messageName(type)}`;
    messages[name] = { name: type, contentType: "application/json", payload };
    names[kind].push(name);
  };
  for (const option of Command.options) add("command", writer.write(option, "input"));
  for (const event of STAMPED_EVENTS) add("event", writer.inPlace(event, "output"));
  add("event", writer.inPlace(ActivityMessage, "output"));
  messages.response = {
    name: "response",
    contentType: "application/json",
    payload: writer.write(Response, "output"),
  };
  const reference = (name: string) => ({ $ref: `#/channels/socket/messages/${name}` });
  return {
    asyncapi: "3.0.0",
    info: { title: "suggestion-manager", version, description: ABOUT, license: { name: "MIT" } },
    defaultContentType: "application/json",
    servers: {
      local: {
        host: "127.0.0.1:4097",
        protocol: "ws",
        security: [{ $ref: "#/components/securitySchemes/token" }],
      },
    },
    channels: {
      socket: {
        address: "/ws",
        messages: Object.fromEntries(
          Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]),
        ),
      },
    },
    operations: {
      command: {
        action: "receive",
        channel: { $ref: "#/channels/socket" },
        messages: names.command.map(reference),
        reply: { channel: { $ref: "#/channels/socket" }, messages: [reference("response")] },
      },
      event: {
        action: "send",
        channel: { $ref: "#/channels/socket" },
        messages: names.event.map(reference),
      },
    },
    components: {
      messages,
      schemas: writer.components,
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
  };
}
