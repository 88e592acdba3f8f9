/** Finds the route of a request path. Pure: patterns are compiled once, paths are matched as sent. */
import type { Route } from "../route.ts";

interface Compiled {
  pattern: RegExp;
  names: string[];
  routes: Route[];
}

export type Match =
  | { found: true; route: Route; parameters: Record<string, string> }
  /** The path is known, the method is not: what would be allowed. Empty when the path is not known either. */
  | { found: false; allow: string[] };

function compile(path: string): { pattern: RegExp; names: string[] } {
  const names: string[] = [];
  const source = path.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/:([a-z]+)/g, (_, name: string) => {
    names.push(name);
    return "([^/]+?)";
  });
  return { pattern: new RegExp(`^${source}$`), names };
}

export class Matcher {
  readonly #byPath: Compiled[] = [];

  constructor(routes: Route[]) {
    const seen = new Map<string, Compiled>();
    for (const route of routes) {
      let compiled = seen.get(route.path);
      if (compiled === undefined) {
        compiled = { ...compile(route.path), routes: [] };
        seen.set(route.path, compiled);
        this.#byPath.push(compiled);
      }
      compiled.routes.push(route);
    }
  }

  match(method: string, path: string): Match {
    // HEAD is answered as GET is; the runtime leaves the body out (RFC 9110 §9.3.2).
    const wanted = method === "HEAD" ? "GET" : method;
    for (const { pattern, names, routes } of this.#byPath) {
      const groups = pattern.exec(path);
      if (groups === null) continue;
      const route = routes.find((candidate) => candidate.method === wanted);
      if (route === undefined) {
        const methods = routes.map((candidate) => candidate.method);
        return { found: false, allow: methods.includes("GET") ? [...methods, "HEAD"] : methods };
      }
      const parameters: Record<string, string> = {};
      for (const [index, name] of names.entries()) parameters[name] = decode(groups[index + 1] ?? "");
      return { found: true, route, parameters };
    }
    return { found: false, allow: [] };
  }
}

/** A segment that is not valid percent-encoding stays as sent and is then refused as an unknown id. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
