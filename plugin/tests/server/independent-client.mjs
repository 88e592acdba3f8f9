/**
 * Run by Node, not by Bun: drives a server with the `ws` package, an independent WebSocket implementation. Takes
 * {url, token, messages, events} as JSON in argv's place on standard input, prints one JSON line of findings.
 */
import { createInterface } from "node:readline";
import WebSocket from "ws";

const input = JSON.parse(
  await new Promise((resolve) => createInterface({ input: process.stdin }).once("line", resolve)),
);
const options = { headers: { Authorization: `Bearer ${input.token}` }, perMessageDeflate: true };
const socket = new WebSocket(`${input.url.replace("http", "ws")}/ws`, options);
const events = [];
const answers = [];
const pongs = [];
socket.on("message", (data, isBinary) => {
  const text = data.toString("utf8");
  if (isBinary) answers.push("binary");
  else if (JSON.parse(text).type === "response") answers.push(text);
  else events.push(text);
});
socket.on("pong", (data) => pongs.push(data.toString()));
const pinged = [];
socket.on("ping", (data) => pinged.push(data.length));
await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
const until = async (test) => {
  for (const end = Date.now() + 15_000; !test(); ) {
    if (Date.now() > end) throw new Error("timed out");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};

socket.ping("hello");
// A command in three fragments with a ping in between, then many at once.
socket.send('{"type":"pi', { fin: false });
socket.ping("between");
socket.send('ng","id":"frag', { fin: false });
socket.send('mented"}', { fin: true });
for (let id = 0; id < input.commands; id++) socket.send(JSON.stringify({ type: "ping", id }));
socket.send(JSON.stringify({ type: "subscribe", id: "sub", since: 0 }));
await until(
  () => answers.length === input.commands + 2 && events.length >= input.events && pongs.length === 2,
);

const refusals = {};
for (const [name, headers] of Object.entries(input.refused)) {
  const refused = new WebSocket(`${input.url.replace("http", "ws")}/ws`, { headers });
  refusals[name] = await new Promise((resolve) => {
    refused.once("unexpected-response", (_request, response) => resolve(response.statusCode));
    refused.once("error", () => resolve(0));
    refused.once("open", () => resolve(101));
  });
}
const closed = new Promise((resolve) => socket.once("close", (code) => resolve(code)));
socket.close(1000, "done");
console.log(
  JSON.stringify({
    events,
    answers: answers.length,
    pongs,
    extensions: socket.extensions,
    closed: await closed,
    refusals,
  }),
);
