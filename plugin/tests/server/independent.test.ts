/** Against an implementation of WebSocket that shares nothing with the server's: `ws`, under Node. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Place } from "./place.ts";

setDefaultTimeout(60_000);

test("`ws` under Node: fragments, pings, many commands, replay, refusals, close", async () => {
  const at = await Place.open();
  for (let i = 0; i < 2000; i++) at.emit(`event ${i} ${"é".repeat(i % 400)}`);
  at.emit("x".repeat(900_000));
  const input = {
    url: at.url,
    token: at.developer,
    commands: 500,
    events: 2001,
    refused: {
      none: {},
      wrong: { Authorization: "Bearer wrong" },
      origin: { Authorization: `Bearer ${at.developer}`, Origin: "https://evil.example" },
      null: { Authorization: `Bearer ${at.developer}`, Origin: "null" },
      host: { Authorization: `Bearer ${at.developer}`, Host: "evil.example" },
    },
  };
  const child = Bun.spawn(["node", join(import.meta.dir, "independent-client.mjs")], {
    stdin: Buffer.from(`${JSON.stringify(input)}\n`),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect(err).toBe("");
  const found = JSON.parse(out);
  expect(found.events).toEqual(at.journal());
  expect(found).toMatchObject({
    answers: 502,
    pongs: ["hello", "between"],
    extensions: "",
    closed: 1000,
    refusals: { none: 401, wrong: 401, origin: 403, null: 403, host: 403 },
  });
  await at.stop();
});
