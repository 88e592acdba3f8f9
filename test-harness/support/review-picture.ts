/** A review of the demo's work in a real Neovim, brought to a state worth a picture. */
import { Repository } from "./repository.ts";
import { Scene, until } from "./scene.ts";
import { serve } from "./server.ts";
import { Terminal } from "./terminal.ts";

/** @returns the screen with its colours, as tmux prints it */
export async function captureReview(): Promise<string> {
  const scene = new Scene("picture");
  try {
    const agent = Repository.agent(scene);
    const developer = agent.cloned("station-report");
    agent.workOnDemo();
    const { curl, ready, port } = await serve(scene, agent.dir);
    const published = curl.post("/suggestions", { description: "Report in Fahrenheit, with the median" });
    const id: string = published.body.suggestion_id;
    const terminal = Terminal.neovim(scene, {
      checkout: developer.dir,
      file: "src/report.ts",
      port,
      tokenFile: ready.token_file,
    });
    await terminal.shows(/HEADINGS/);
    await terminal.openReview();
    const decided = (count: number) =>
      until(`${count} decided`, () => curl.suggestion(id).reviewed_count === count);
    terminal.keys("a");
    await decided(1);
    terminal.keys("a");
    await decided(2);
    terminal.keys("r");
    await terminal.shows(/Reject because/);
    terminal.type("keep the order of the columns");
    terminal.keys("Enter");
    await decided(3);
    await terminal.shows(/3\/19 decided/);
    // What was typed last stays on the command line until something else is shown there.
    terminal.keys(":");
    terminal.type("echo");
    terminal.keys("Enter");
    await terminal.settled();
    return terminal.colours();
  } finally {
    await scene.close();
  }
}
