/** The agent's jj repository, the developer's clone, and what git says of either. */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { demoScript } from "../../demo/script.ts";
import { must } from "./processes.ts";
import { ROOT, type Scene } from "./scene.ts";

export class Repository {
  constructor(
    private readonly scene: Scene,
    readonly dir: string,
  ) {}

  /** The demo project with one commit on main, colocated, as the agent's own. */
  static agent(scene: Scene, name = "agent"): Repository {
    const dir = scene.folder(name);
    cpSync(join(ROOT, "demo/project"), dir, { recursive: true });
    const repository = new Repository(scene, dir);
    repository.jj("git", "init", "--colocate", ".");
    repository.jj("commit", "-m", "base");
    repository.jj("bookmark", "create", "main", "-r", "@-");
    return repository;
  }

  /** A developer's checkout of what the agent started from. */
  cloned(name: string): Repository {
    const dir = this.scene.path(name);
    this.git("clone", "--quiet", "--branch", "main", `${this.dir}/.git`, dir);
    return new Repository(this.scene, dir);
  }

  jj(...args: string[]): string {
    return must(["jj", "--no-pager", "--quiet", ...args], { cwd: this.dir, env: this.scene.env });
  }

  git(...args: string[]): string {
    return must(["git", ...args], { cwd: this.dir, env: this.scene.env }).trimEnd();
  }

  read(path: string): string {
    return readFileSync(join(this.dir, path), "utf8");
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.dir, path), text);
  }

  /** Makes the edits of the demo's script, as an agent without a host would. */
  workOnDemo(): void {
    const work = demoScript().conversations.find(({ when }) => when.includes("Fahrenheit"));
    for (const { tool, args } of (work?.turns ?? []).flatMap((turn) => turn.calls ?? [])) {
      const path = String(args.filePath ?? "");
      if (tool === "write") this.write(path, String(args.content));
      if (tool === "edit")
        this.write(
          path,
          this.read(path).replace(String(args.oldString), () => String(args.newString)),
        );
      const removed = tool === "bash" ? /^rm (\S+)$/.exec(String(args.command))?.[1] : undefined;
      if (removed !== undefined) rmSync(join(this.dir, removed));
    }
  }
}
