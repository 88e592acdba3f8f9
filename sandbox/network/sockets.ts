/** Names and ports by which the two sides of the network find each other. */
import type { Door } from "./proxy.ts";

/** In the network's folder. Both work through namespaces of networks. */
export const SOCKETS: Readonly<Record<Door, string>> = { command: "commands.sock", host: "host.sock" };
export const GATEWAY_SOCKET = "gateway.sock";

/** Of loopback inside: the usual port of a proxy, where nothing that a project starts for itself is expected. */
export const PROXY_PORT = 3128;
/** Of opencode's own loopback, which has the proxy's port, too: the way to the model. */
export const GATEWAY_PORT = 3129;

/** Environment by which programs inside find the proxy. What they start for themselves on loopback they reach directly. */
export function proxyEnvironment<Address = string>(
  proxy: Address | string = `http://127.0.0.1:${PROXY_PORT}`,
): Record<string, Address | string> {
  const direct = "localhost,127.0.0.1,::1";
  return {
    // By this curl asks a proxy of plain requests; HTTP_PROXY it does not read (CVE-2016-5385).
    http_proxy: proxy,
    ...{ HTTP_PROXY: proxy, HTTPS_PROXY: proxy, https_proxy: proxy, ALL_PROXY: proxy, all_proxy: proxy },
    ...{ NO_PROXY: direct, no_proxy: direct },
    // Node asks no proxy unless it is told to.
    NODE_USE_ENV_PROXY: "1",
    // Git asks without its credentials first otherwise, and nobody asks it for them.
    GIT_HTTP_PROXY_AUTHMETHOD: "basic",
  };
}
