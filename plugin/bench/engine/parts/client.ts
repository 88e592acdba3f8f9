/** One WebSocket client: does what it is told, one command at a time, and says how long the answer took. */
declare const self: Worker;

type Task = { url: string; token: string } | { type: string };

let socket: WebSocket;
let answered: (text: string) => void = () => {};

async function connect(url: string, token: string): Promise<void> {
  socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } } as never);
  socket.addEventListener("message", ({ data }) => {
    // Events come here too; what a client does with them is its own affair.
    if (String(data).startsWith('{"type":"response"')) answered(String(data));
  });
  await new Promise((done, fail) => {
    socket.addEventListener("open", done, { once: true });
    socket.addEventListener("error", fail, { once: true });
  });
}

self.onmessage = async ({ data: task }: MessageEvent<Task>) => {
  try {
    if ("url" in task) {
      await connect(task.url, task.token);
      self.postMessage({ took: 0 });
      return;
    }
    const start = performance.now();
    const answer = new Promise<string>((done) => {
      answered = done;
    });
    socket.send(JSON.stringify({ ...task, id: "b" }));
    const text = await answer;
    const took = performance.now() - start;
    const { success, error } = JSON.parse(text) as { success: boolean; error?: string };
    self.postMessage(success ? { took } : { failed: `the decision was refused: ${error}` });
  } catch (thrown) {
    self.postMessage({ failed: String(thrown) });
  }
};
