// @ts-check
// Runs npm quietly, with the certificates that this machine trusts.
import { existsSync } from "node:fs";
import { ProvisionError } from "./errors.mjs";
import { run } from "./run.mjs";

const systemCertificates = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
];
const quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"];

/**
 * @param {string[]} args
 * @param {{cwd: string, timeout: number}} options
 */
export async function runNpm(args, options) {
  // Node knows only its built-in authorities; a company's proxy or mirror is often trusted by the system alone.
  const extra = process.env.NODE_EXTRA_CA_CERTS ?? systemCertificates.find((path) => existsSync(path));
  const env = { ...process.env, ...(extra ? { NODE_EXTRA_CA_CERTS: extra } : {}) };
  const outcome = await run("npm", [...args, ...quiet], { ...options, env });
  if (outcome.error?.code === "ENOENT")
    throw new ProvisionError(
      "missing",
      "npm is not on PATH: install it (it comes with Node.js), then run this again.",
      { cause: outcome.error },
    );
  return outcome;
}
