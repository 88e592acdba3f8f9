import { parseReadings } from "./readings.ts";
import { report } from "./report.ts";

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: bun src/cli.ts <readings.csv>");
  process.exit(2);
}

console.log(report(parseReadings(await Bun.file(path).text())));
