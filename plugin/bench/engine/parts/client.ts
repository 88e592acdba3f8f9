/** One WebSocket client: does what it is told, one command at a time, and says how long the answer took. */
declare const self: Worker;

type Task = { url: string; token: string } | { type: string };

let socket: WebSocket;
let answered: (text: string) => void = () => {};

async function connect(url: string, token: string): Promise<void> {
  socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } } as never);
  socket.addEventListener("message", ({ data }) => {
    if (String(data).startsWith('{"type":"response"')) answered(String(data));
  });
  await new Promise((done, fail) => {
    socket.addEventListener("open", done, { once: true });
    socket.addEventListener("error", fail, { once: true });
  });
}

/** @returns milliseconds from sending the command to having its answer */
async function ask(command: object): Promise<number> {
  const start = performance.now();
  const answer = new Promise<string>((done) => {
    answered = done;
  });
  socket.send(JSON.stringify({ ...command, id: "b" }));
  const text = await answer;
  const took = performance.now() - start;
  const { success, error } = JSON.parse(text) as { success: boolean; error?: string };
  if (!success) throw new Error(`the command was refused: ${error}`);
  return took;
}

self.onmessage = async ({ data: task }: MessageEvent<Task>) => {
  try {
    if ("url" in task) {
      await connect(task.url, task.token);
      // What readers of the journal cost is the matter of the server's fan-out bench.
      await ask({ type: "subscribe", since: 0, project: "/none" });
      self.postMessage({ took: 0 });
    } else {
      self.postMessage({ took: await ask(task) });
    }
  } catch (thrown) {
    self.postMessage({ failed: String(thrown) });
  }
};
