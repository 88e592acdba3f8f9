/**
 * The way to the model. Its client has a placeholder for each secret; the secrets are put in here. Who has no placeholder
 * of a route gets nothing by it, so that another program on the machine does not spend the developer's money.
 */

/** One secret, under the name that the client knows it by. */
export interface Secret {
  placeholder: string;
  /** null where there is none: the field that names the placeholder is then left out. */
  value: string | null;
}

/** `/<id>/…` on this side is `<base>/…` on the other. */
export interface Route {
  id: string;
  base: string;
  secrets: readonly Secret[];
}

const HOP_BY_HOP = new Set([
  ...[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "trailer",
  ],
  ...["transfer-encoding", "upgrade"],
]);
const REQUEST_BYTES = 256 * 2 ** 20;
/** Answers that are looked through for an echo of the secret. */
const ERROR_BYTES = 2 ** 20;

/** @param where a port of loopback (0 for a free one), or the path of a Unix socket */
export function startGateway(routes: readonly Route[], where: { port: number } | { unix: string }) {
  const handler = {
    maxRequestBodySize: REQUEST_BYTES,
    fetch(request: Request, server: { timeout(request: Request, seconds: number): void }) {
      // An answer may take as long as a model thinks.
      server.timeout(request, 0);
      return forward(request, routes);
    },
  };
  return "unix" in where
    ? Bun.serve({ ...handler, unix: where.unix })
    : Bun.serve({ ...handler, hostname: "127.0.0.1", port: where.port });
}

/** In the form in which the providers' own errors come. */
const refusal = (status: number, message: string) =>
  Response.json({ error: { type: "gateway", message: `Isolated AI Coder: ${message}` } }, { status });

async function forward(request: Request, routes: readonly Route[]): Promise<Response> {
  const asked = new URL(request.url);
  const [, id = "", ...rest] = asked.pathname.split("/");
  const route = routes.find((one) => encodeURIComponent(one.id) === id);
  // The same for a route that is not there: what there is is not told to who may not use it.
  const unknown = () => refusal(401, "there is no such provider here, or its placeholder is wrong");
  if (route === undefined || request.headers.has("origin")) return unknown();
  const query = exchanged(asked.search, route.secrets);
  const headers = new Headers();
  let known = query !== asked.search;
  for (const [name, value] of request.headers) {
    const isNamed = route.secrets.some(({ placeholder }) => value.includes(placeholder));
    known ||= isNamed;
    const content = exchanged(value, route.secrets);
    if (HOP_BY_HOP.has(name) || name === "host" || name === "content-length") continue;
    if (content !== null) headers.set(name, content);
  }
  if (!known) return unknown();
  // What comes back is looked through, and is text already.
  headers.set("accept-encoding", "identity");
  const target = new URL(route.base);
  target.pathname = `${target.pathname.replace(/\/+$/, "")}/${rest.join("/")}`;
  if (query !== null && query !== "") target.search = query;
  try {
    const answer = await fetch(target, {
      method: request.method,
      headers,
      ...(request.body === null ? {} : { body: await request.arrayBuffer() }),
      // A redirect is the client's to follow, with its placeholder.
      redirect: "manual",
      signal: request.signal,
      timeout: false,
    } as RequestInit);
    return await passedBack(answer, route.secrets);
  } catch (error) {
    if (request.signal.aborted) return refusal(499, "the request was taken back");
    const { code, message } = error as { code?: string; message: string };
    return refusal(502, `${target.host} was not reached: ${code ?? hidden(message, route.secrets)}`);
  }
}

/** The text with secrets for placeholders; null where a placeholder has none. */
function exchanged(text: string, secrets: readonly Secret[]): string | null {
  let result = text;
  for (const { placeholder, value } of secrets) {
    if (!result.includes(placeholder)) continue;
    if (value === null) return null;
    result = result.replaceAll(placeholder, () => value);
  }
  return result;
}

/** The text with placeholders for secrets. */
const hidden = (text: string, secrets: readonly Secret[]): string =>
  secrets.reduce(
    (result, { placeholder, value }) =>
      value === null || value === "" ? result : result.replaceAll(value, () => placeholder),
    text,
  );

async function passedBack(answer: Response, secrets: readonly Secret[]): Promise<Response> {
  const headers = new Headers();
  for (const [name, value] of answer.headers)
    if (!HOP_BY_HOP.has(name) && name !== "content-length") headers.append(name, hidden(value, secrets));
  const { status } = answer;
  const empty = answer.body === null || [204, 205, 304].includes(status);
  // A complaint about a key may repeat it.
  const short = Number(answer.headers.get("content-length") ?? 0) <= ERROR_BYTES;
  const body = empty ? null : status >= 400 && short ? hidden(await answer.text(), secrets) : answer.body;
  return new Response(body, { status, headers });
}
