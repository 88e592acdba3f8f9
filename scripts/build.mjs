// @ts-check
// npm run build: the plugin as one file, plugin/dist/suggestion-manager.js.
import { bootstrap, build } from "./lib/bootstrap.mjs";

await build(await bootstrap(["runtime"]));
