/** What a command might reach on this machine: real listeners, and a registry of packages. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { must } from "./processes.ts";
import type { Scene } from "./scene.ts";

export interface Services {
  /** Listens on 127.0.0.1. */
  service: number;
  /** Listens on every address of the machine. */
  everywhere: number;
  /** An address of the machine's that is not loopback, where it has one. */
  own: string;
  /** Name of an abstract Unix socket. */
  abstract: string;
}

export function startServices(scene: Scene): Services {
  const socket = {
    open: (one: { end(text: string): unknown }) => void one.end("hello"),
    data: () => undefined,
  };
  const one = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
  const all = Bun.listen({ hostname: "0.0.0.0", port: 0, socket });
  const abstract = `services-${process.pid}-${scene.name}`;
  const unix = Bun.listen({ unix: `\0${abstract}`, socket });
  scene.atEnd(() => {
    for (const listener of [one, all, unix]) listener.stop(true);
  });
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family }) => !internal && family === "IPv4");
  return { service: one.port, everywhere: all.port, own: own?.address ?? "127.0.0.1", abstract };
}

export interface Registry {
  /** As npm is told: by the machine's own name, which no NO_PROXY has. */
  url: string;
  /** Paths that were asked for. */
  asked: string[];
  package: string;
}

/** A registry with one package, whose module is the word "installed". */
export function startRegistry(scene: Scene): Registry {
  const name = "probe-package";
  mkdirSync(scene.path("registry/package"), { recursive: true });
  writeFileSync(
    scene.path("registry/package/package.json"),
    JSON.stringify({ name, version: "1.0.0", main: "index.js" }),
  );
  writeFileSync(scene.path("registry/package/index.js"), 'module.exports = "installed";\n');
  must(["tar", "czf", scene.path("registry/it.tgz"), "-C", scene.path("registry"), "package"]);
  const tarball = readFileSync(scene.path("registry/it.tgz"));
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  const asked: string[] = [];
  const server: ReturnType<typeof Bun.serve> = Bun.serve({
    hostname: "0.0.0.0",
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push(pathname);
      if (pathname.endsWith(".tgz")) return new Response(tarball);
      if (pathname !== `/${name}`) return new Response("{}", { status: 404 });
      const dist = { tarball: `${url}${name}-1.0.0.tgz`, integrity };
      const version = { name, version: "1.0.0", main: "index.js", dist };
      return Response.json({ name, "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": version } });
    },
  });
  scene.atEnd(() => server.stop(true));
  const url = `http://${hostname()}:${server.port}/`;
  return { url, asked, package: name };
}

/** What was asked of a provider, on its way to a model that answers. */
export interface Front {
  url: string;
  authorizations: Set<string>;
}

export function startFront(scene: Scene, model: string): Front {
  const authorizations = new Set<string>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      authorizations.add(request.headers.get("authorization") ?? "");
      const { pathname } = new URL(request.url);
      const headers = { "content-type": request.headers.get("content-type") ?? "" };
      return fetch(`${model.replace(/\/v1$/, "")}${pathname}`, {
        method: request.method,
        headers,
        ...(request.body === null ? {} : { body: await request.arrayBuffer() }),
      });
    },
  });
  scene.atEnd(() => server.stop(true));
  return { url: `http://127.0.0.1:${server.port}/v1`, authorizations };
}
