/** Which of the developer's MCP servers go with the agent, and what is said where one cannot. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { sameUser } from "../../scripts/start/identity.ts";
import { findServers } from "../../scripts/start/mcp.ts";
import { Scene } from "../support/scene.ts";

const scene = new Scene("mcp");
const before = { ...process.env };
const developer = sameUser();

beforeAll(() => {
  process.env.XDG_CONFIG_HOME = scene.folder("config");
  process.env.MCP_TEST_KEY = "a key";
  scene.write("config/opencode/secret", "of a file\n");
  scene.write(
    "config/opencode/config.json",
    JSON.stringify({ mcp: { one: { type: "local", command: ["old"] } } }),
  );
  scene.write(
    "config/opencode/opencode.jsonc",
    `{ // read last
    "mcp": {
      "one": { "type": "local", "command": ["one", "{env:MCP_TEST_KEY}", "{env:MCP_TEST_UNSET}"], "timeout": 7, "cwd": "sub",
        "enabled": false, "environment": { "KEY": "{file:./secret}" } },
      "broken": { "type": "local", "command": ["x"], "environment": { "A": "{file:./absent}" } },
      "far": { "type": "remote", "url": "https://far.example" },
      "empty": { "type": "local", "command": [] },
      "text": { "type": "local", "command": "one two" },
      "odd": { "type": "local", "command": ["x"], "environment": { "A B": "x" } },
      "number": { "type": "local", "command": ["x"], "environment": { "A": 1 } },
      "../up": { "type": "local", "command": ["x"] }
    }
  }`,
  );
});
afterAll(async () => {
  for (const name of ["XDG_CONFIG_HOME", "MCP_TEST_KEY"])
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  await scene.close();
});

test("a server that is named goes along as the last file has it, with what its texts refer to", async () => {
  expect(await findServers(developer, ["one", "one"])).toEqual([
    {
      name: "one",
      command: ["one", "a key", ""],
      environment: { KEY: "of a file" },
      rest: { timeout: 7, cwd: "sub" },
    },
  ]);
  expect(await findServers(developer, [])).toEqual([]);
});

for (const [name, said] of [
  ["two", /no MCP server "two" in .*opencode \(there are: one, broken, far/],
  ["far", /mcp\.far\.type: expected local; a remote server has no program/],
  ["empty", /mcp\.empty\.command: expected a list of words/],
  ["text", /mcp\.text\.command: expected a list of words/],
  ["odd", /mcp\.odd\.environment: expected names of variables, got "A B"/],
  ["number", /mcp\.number\.environment: expected texts by name/],
  ["../up", /mcp\.\.\.\/up: expected a name of letters/],
  ["broken", /names \{file:\.\/absent\}, and .*absent cannot be read/],
] as const)
  test(`the server "${name}" is refused, by what is wrong with it`, () =>
    expect(findServers(developer, [name])).rejects.toThrow(said));
