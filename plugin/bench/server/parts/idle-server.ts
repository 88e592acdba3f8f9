/** A server process of one kind, `ours` or `bare`: prints {port, token}, then its resident bytes for every line it gets. */
import { createInterface } from "node:readline";
import { bareServer } from "./bare.ts";
import { Place } from "./place.ts";

const place = process.argv[2] === "ours" ? await Place.open({ limits: { maxSockets: 9000 } }) : null;
const port = place?.port ?? bareServer().port;
console.log(JSON.stringify({ port, token: place?.developer ?? "none" }));
createInterface({ input: process.stdin }).on("line", async () => {
  // What opening left behind is not what an idle client costs; one collection does not find all of it. Long enough for
  // whatever a server does by itself while its clients wait.
  for (let i = 0; i < 8; i++) {
    Bun.gc(true);
    await Bun.sleep(200);
  }
  console.log(process.memoryUsage.rss());
});
