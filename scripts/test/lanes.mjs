// @ts-check
/** Output of commands that run side by side: whole lines, each with the name of who wrote it. */

/**
 * @param {string} name
 * @param {(text: string) => void} out
 * @returns {{write: (text: string) => void, end: () => void}} `end` writes what has no end of line yet
 */
export function lane(name, out) {
  let rest = "";
  return {
    write(text) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) out(`${name} | ${line}\n`);
    },
    end() {
      if (rest !== "") out(`${name} | ${rest}\n`);
      rest = "";
    },
  };
}
