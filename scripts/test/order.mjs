// @ts-check
/**
 * The order of the tests within their files, so that none comes to lean on another: that of the tree which is committed, so
 * that what fails anywhere fails here too, and another with the next commit; one by chance where there is no commit to ask.
 */
import { spawnSync } from "node:child_process";
import { ROOT } from "../lib/bootstrap.mjs";

const MOST = 1_000_000;
const asked = process.env.SUGGESTION_ORDER;
const byChance = () => Date.now() % MOST;

/** What is wrong with the order that was asked for. */
export const problem =
  asked === undefined || asked === "random" || (/^\d+$/.test(asked) && Number(asked) < MOST)
    ? null
    : `SUGGESTION_ORDER: expected a whole number below ${MOST}, or random, got ${JSON.stringify(asked)}`;

function ofTheTree() {
  const { stdout } = spawnSync("git", ["rev-parse", "HEAD^{tree}"], { cwd: ROOT, encoding: "utf8" });
  const [digits] = /^[0-9a-f]{12}/.exec(stdout ?? "") ?? [];
  return digits === undefined ? byChance() : Number.parseInt(digits, 16) % MOST;
}

/** The seed of this run's order. */
export const ORDER = asked === undefined ? ofTheTree() : asked === "random" ? byChance() : Number(asked);
