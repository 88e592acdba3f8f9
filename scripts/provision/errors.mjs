// @ts-check
// The one error of provisioning: a code, and a sentence that says what to do. Never shows a registry's address.

/** @typedef {"usage" | "unsupported" | "network" | "space" | "permission" | "signature" | "missing" | "broken" | "busy" | "failed"} ErrorCode */

export class ProvisionError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {{cause?: unknown, detail?: string}} [options] detail: the tail of what a child process said
   */
  constructor(code, message, options = {}) {
    const detail = tailOf(redactAddresses(options.detail ?? ""));
    super(detail ? `${message}\n${detail}` : message, { cause: options.cause });
    this.name = "ProvisionError";
    this.code = code;
  }
}

/**
 * Several tools can fail at once, for different reasons; the person should see all of it in one go.
 * @param {unknown[]} errors
 */
export function combineErrors(errors) {
  if (errors.length === 1) return errors[0];
  const first = errors.find((error) => error instanceof ProvisionError);
  const code = first instanceof ProvisionError ? first.code : "failed";
  const sentences = new Set(errors.map((error) => (error instanceof Error ? error.message : String(error))));
  return new ProvisionError(code, [...sentences].join("\n"), { cause: errors[0] });
}

/**
 * @param {unknown} error
 * @param {string} folder the folder that was being written
 */
export function explainFileError(error, folder) {
  const code = /** @type {NodeJS.ErrnoException} */ (error)?.code;
  if (error instanceof ProvisionError) return error;
  if (code === "EACCES" || code === "EPERM" || code === "EROFS")
    return new ProvisionError(
      "permission",
      `${folder} cannot be written by this user: make it writable, or run this as its owner.`,
      { cause: error },
    );
  if (code === "ENOSPC" || code === "EDQUOT")
    return new ProvisionError(
      "space",
      `No space is left for ${folder}: free about 1 GB there, then run this again.`,
      { cause: error },
    );
  if (code === "ENOTDIR" || code === "EEXIST")
    return new ProvisionError(
      "permission",
      `${folder} cannot be made, because a file of that name is in the way: move it away, then run this again.`,
      { cause: error },
    );
  return error;
}

const networkSigns =
  /could not resolve|temporary failure|could not connect|unable to connect|connection (timed out|failed|refused)|network is unreachable|no route to host|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|FETCH_ERROR/i;

/**
 * Why a registry's client failed, as a sentence.
 * @param {string} client "npm" or "apt-get"
 * @param {string} what what it was asked to do
 * @param {string} output what it said
 * @param {string} folder
 */
export function explainClientFailure(client, what, output, folder) {
  /** @param {ErrorCode} code @param {string} advice */
  const failure = (code, advice) =>
    new ProvisionError(code, `${client} could not ${what}: ${advice}`, { detail: output });
  if (/ENOSPC|EDQUOT|no space left|disk quota|enough free space/i.test(output))
    return failure("space", `no space is left for ${folder}; free about 1 GB there, then run this again.`);
  if (
    /SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_HAS_EXPIRED|certificate verification failed/i.test(
      output,
    )
  )
    return failure(
      "network",
      "the certificate of its registry is not trusted here; put your network's certificate into the system's store, or name it in NODE_EXTRA_CA_CERTS, then run this again.",
    );
  if (networkSigns.test(output))
    return failure(
      "network",
      `its registry cannot be reached; check the network and ${client}'s own settings (proxy, mirror), then run this again.`,
    );
  if (/NO_PUBKEY|not signed|GPG error|OpenPGP|signature/i.test(output))
    return failure(
      "signature",
      "the archive's signature could not be checked; install or update the package debian-archive-keyring, then run this again.",
    );
  if (/EACCES|EPERM|EROFS|permission denied|read-only file system/i.test(output))
    return failure(
      "permission",
      `a folder under ${folder} cannot be written; make it writable, then run this again.`,
    );
  return failure(
    "failed",
    "it ended with an error; its last words follow. Run this again, or install the tool yourself and put it on PATH.",
  );
}

/**
 * A registry's address is the machine's own business (it can hold credentials) and helps nobody in a message.
 * @param {string} text
 */
export function redactAddresses(text) {
  return text
    .replace(/\b[a-z][a-z0-9+.-]*:\/\/[^\s'"]+/gi, "(address)")
    .replace(/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT)[ \t]+(?!\()[^\s]+/g, "$1 (address)")
    .replace(/((?:resolv(?:e|ing)|connect(?:ing)? to|request to)[ \t]+)'?(?!\()[^\s',]+'?/gi, "$1(address)");
}

/** @param {string} text its last lines: clients repeat themselves */
function tailOf(text) {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines
    .slice(-8)
    .map((line) => `    ${line.trimEnd()}`)
    .join("\n");
}
