/** A cage as `npm start` makes it, on folders of a bench: the network, the proxy behind it, and the shell of the commands. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limited } from "../../../../sandbox/limits.ts";
import { FORWARDER_FILES, NETWORK_VARIABLE, withNetwork } from "../../../../sandbox/network/holder.ts";
import { startProxy } from "../../../../sandbox/network/proxy.ts";
import type { Rules } from "../../../../sandbox/network/rules.ts";
import { proxyEnvironment, SOCKETS } from "../../../../sandbox/network/sockets.ts";
import { innerRing } from "../../../../sandbox/rings.ts";
import { seccompFilter } from "../../../../sandbox/seccomp.ts";
import { ringShell, SECCOMP_FD } from "../../../../sandbox/shell.ts";
import { readSystem } from "../../../../sandbox/system.ts";

const NETWORK_FOLDER = join(import.meta.dir, "../../../../sandbox/network");

export interface BenchCage {
  dir: string;
  bwrap: string;
  /** Words that run a command in the network of the cage. */
  within: string[];
  shell: string;
  end(): void;
}

/** @param rules for the proxy, which runs in this process */
export function makeCage(rules: Rules): BenchCage {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "bench-cage-")));
  const [worktree, home] = [join(dir, "worktree"), join(dir, "home")];
  mkdirSync(join(worktree, ".git"), { recursive: true });
  mkdirSync(home);
  const system = readSystem();
  const program = (name: string) => realpathSync(Bun.which(name) ?? name);
  const covered = (path: string) => system.shown.some((one) => path.startsWith(`${one.path}/`));
  for (const name of FORWARDER_FILES) copyFileSync(join(NETWORK_FOLDER, name), join(dir, name));
  const put = (name: string, text: string | Uint8Array) => {
    writeFileSync(join(dir, name), text);
    chmodSync(join(dir, name), 0o755);
    return join(dir, name);
  };
  const bwrap = program("bwrap");
  const filter = put("filter.bpf", seccompFilter() ?? new Uint8Array());
  const ring = innerRing({
    ...{ system, worktree, home, pinned: [join(worktree, ".git")], network: "shared", seccomp: SECCOMP_FD },
    inMemory: 2 ** 30,
    shown: [program("bun")].filter((path) => !covered(path)),
  });
  const shell = put(
    "shell",
    ringShell({
      ...{ bwrap, ring, filter, guarded: [], passed: [] },
      environment: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home, ...proxyEnvironment() },
      network: { nsenter: program("nsenter"), variable: NETWORK_VARIABLE },
      sentences: { stop: join(dir, "stop"), ended: put("ended.txt", "Ended by force.\n") },
      within: limited(["nice", "-n", "5"], { nproc: 4096 }),
      command: limited([program("bash")]),
    }),
  );
  const proxy = startProxy(
    { unix: join(dir, SOCKETS.command) },
    { door: "command", rules: () => rules, refused: () => undefined },
  );
  const forwarder = join(dir, "forwarder.ts");
  const within = [put("with-network", withNetwork({ bwrap, bun: program("bun"), forwarder, folder: dir }))];
  return {
    ...{ dir: worktree, bwrap, within, shell },
    end() {
      proxy.stop(true);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
