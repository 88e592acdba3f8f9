/**
 * Counters in Prometheus' text format (version 0.0.4). Labels come from fixed sets only: a route's pattern, never a
 * path as sent.
 */
type Labels = Record<string, string>;

const METHODS = new Set(["GET", "HEAD", "POST"]);

interface Family {
  kind: "counter" | "gauge";
  help: string;
  values: Map<string, number>;
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`))}"`,
  );
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

export class Metrics {
  readonly #families = new Map<string, Family>();

  #family(kind: Family["kind"], name: string, help: string): Family {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { kind, help, values: new Map() };
      this.#families.set(name, family);
    }
    return family;
  }

  add(name: string, help: string, labels: Labels = {}, by = 1): void {
    const { values } = this.#family("counter", name, help);
    const key = labelText(labels);
    values.set(key, (values.get(key) ?? 0) + by);
  }

  set(name: string, help: string, value: number, labels: Labels = {}): void {
    this.#family("gauge", name, help).values.set(labelText(labels), value);
  }

  request(method: string, route: string, status: number): void {
    this.add("suggestion_manager_http_requests_total", "HTTP requests answered", {
      method: METHODS.has(method) ? method : "other",
      route,
      status: String(status),
    });
  }

  command(type: string, success: boolean): void {
    this.add("suggestion_manager_socket_commands_total", "WebSocket commands answered", {
      type,
      success: String(success),
    });
  }

  closed(reason: string): void {
    this.add("suggestion_manager_sockets_closed_total", "Connections the server closed itself", { reason });
  }

  render(): string {
    const lines: string[] = [];
    for (const [name, { kind, help, values }] of this.#families) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`);
      for (const [labels, value] of values) lines.push(`${name}${labels} ${value}`);
    }
    return `${lines.join("\n")}\n`;
  }
}
