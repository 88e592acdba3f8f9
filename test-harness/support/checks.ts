/** Named checks, one line each, and an exit code that says whether all passed. */

export class Checks {
  passed = 0;
  failed = 0;

  async check(name: string, work: () => unknown): Promise<void> {
    try {
      const said = await work();
      if (said === false) throw new Error("not as expected");
      this.passed++;
      process.stdout.write(`pass  ${name}\n`);
    } catch (error) {
      this.failed++;
      process.stdout.write(`FAIL  ${name}: ${error instanceof Error ? error.message : error}\n`);
    }
  }

  /** Prints the sums and ends the process. */
  end(): never {
    process.stdout.write(`${this.passed} passed, ${this.failed} failed\n`);
    process.exit(this.failed === 0 ? 0 : 1);
  }
}

export function equal(actual: unknown, expected: unknown, what = "value"): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected))
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}
