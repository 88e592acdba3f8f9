/** Neovim in a real terminal: tmux draws it, keys go in as a person types them, the screen is read back. */
import { must, run } from "./processes.ts";
import { ROOT, type Scene, until } from "./scene.ts";

export interface Look {
  columns?: number;
  rows?: number;
}

export class Terminal {
  private constructor(
    private readonly scene: Scene,
    private readonly socket: string,
    readonly columns: number,
    readonly rows: number,
  ) {}

  /** Opens Neovim on a file of a checkout, with nothing loaded but the client. */
  static neovim(
    scene: Scene,
    options: { checkout: string; file: string; port: number; tokenFile: string } & Look,
  ): Terminal {
    const { checkout, file, port, tokenFile, columns = 100, rows = 30 } = options;
    const init = scene.write(
      "init.lua",
      [
        `vim.opt.runtimepath:prepend(${JSON.stringify(`${ROOT}/nvim`)})`,
        'vim.g.mapleader = " "',
        "vim.opt.termguicolors = true",
        "vim.opt.number = true",
        "vim.opt.swapfile = false",
        `vim.g.suggestion_review = { server = { host = "127.0.0.1", port = ${port}, token_file = ${JSON.stringify(tokenFile)}, root = ${JSON.stringify(checkout)} } }`,
        "",
      ].join("\n"),
    );
    const config = scene.write(
      "tmux.conf",
      'set -g default-terminal "tmux-256color"\nset -as terminal-features ",*:RGB"\nset -sg escape-time 10\nset -g status off\n',
    );
    const socket = scene.path("tmux.sock");
    const terminal = new Terminal(scene, socket, columns, rows);
    scene.atEnd(() => void run(["tmux", "-S", socket, "kill-server"]));
    must(
      [
        ...[
          "tmux",
          "-S",
          socket,
          "-f",
          config,
          "new-session",
          "-d",
          "-x",
          String(columns),
          "-y",
          String(rows),
        ],
        `nvim --clean -u ${init} --listen ${scene.path("nvim.sock")} ${file}`,
      ],
      { cwd: checkout, env: { ...scene.env, TERM: "xterm-256color", COLORTERM: "truecolor" } },
    );
    return terminal;
  }

  /** Keys by tmux's names: `Enter`, `Escape`, `C-r`; anything else is typed as it is. */
  keys(...keys: string[]): void {
    must(["tmux", "-S", this.socket, "send-keys", ...keys]);
  }

  type(text: string): void {
    must(["tmux", "-S", this.socket, "send-keys", "-l", text]);
  }

  screen(): string {
    return must(["tmux", "-S", this.socket, "capture-pane", "-p"]);
  }

  /** The screen with its colours as terminal escapes. */
  colours(): string {
    return must(["tmux", "-S", this.socket, "capture-pane", "-p", "-e"]);
  }

  evaluate(expression: string): string {
    return must(["nvim", "--server", this.scene.path("nvim.sock"), "--remote-expr", expression], {
      env: this.scene.env,
    }).trim();
  }

  /** Waits until the screen shows it, and returns that screen. */
  async shows(what: RegExp, timeoutMs = 15_000): Promise<string> {
    return until(
      `the screen shows ${what}`,
      () => {
        const screen = this.screen();
        return what.test(screen) ? screen : null;
      },
      timeoutMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.screen()}`);
    });
  }

  /** The review opened by its key, once the suggestion has been announced. */
  async openReview(): Promise<string> {
    const announced = await this.shows(/Suggestion ready|Press ENTER/);
    if (/Press ENTER/.test(announced)) this.keys("Enter");
    await this.settled();
    this.keys("Space", "s", "r");
    return this.shows(/0\/\d+ decided/);
  }

  /** Waits until the screen has stopped changing. */
  async settled(): Promise<string> {
    let last = "";
    return until("the screen rests", async () => {
      const screen = this.colours();
      const same = screen === last;
      last = screen;
      if (!same) await Bun.sleep(250);
      return same ? screen : null;
    });
  }
}
