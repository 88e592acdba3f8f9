/** Values for options of the server that are not their defaults, made from the table of options. */
import { z } from "zod";
import { flagOf, nest, OPTION_NAMES, OPTIONS, type OptionName } from "../../plugin/src/options.ts";

interface Sample {
  /** As in the environment or behind a flag. */
  text: string;
  value: unknown;
}

/** Where a value that is made from the row would show less, or be none that works. */
const SAMPLES: Partial<Record<OptionName, Sample>> = {
  "sync.push_branches": { text: "main,topic/*", value: ["main", "topic/*"] },
  allowed_origins: { text: "http://a.example", value: ["http://a.example"] },
};

function candidates(name: OptionName): Sample[] {
  const { kind, schema, default: usual } = OPTIONS[name];
  switch (kind) {
    case "number":
      return [1, -1].map((step) => ({ text: `${Number(usual) + step}`, value: Number(usual) + step }));
    case "switch":
      return [{ text: usual === true ? "no" : "yes", value: usual !== true }];
    case "list":
      return [{ text: "one,two", value: ["one", "two"] }];
    case "text":
      return (schema instanceof z.ZodEnum ? schema.options.map(String) : ["/sample"])
        .filter((word) => word !== usual)
        .map((word) => ({ text: word, value: word }));
  }
}

/** The first value that the option's own row takes. */
export function sampleOf(name: OptionName): Sample {
  const sample =
    SAMPLES[name] ?? candidates(name).find(({ value }) => OPTIONS[name].schema.safeParse(value).success);
  if (sample === undefined)
    throw new Error(`${name}: no value can be made from its row; give one in SAMPLES`);
  return sample;
}

/** A flag that gives an option its sample. */
export function sampleFlag(name: OptionName): string[] {
  const { text, value } = sampleOf(name);
  if (OPTIONS[name].kind !== "switch") return [`--${flagOf(name)}`, text];
  return [value === true ? `--${flagOf(name)}` : `--no-${flagOf(name)}`];
}

/** Flags for the options that a command line leaves out, and what they say, nested. */
export function remainingFlags(given: readonly string[]): { flags: string[]; options: object } {
  const left = OPTION_NAMES.filter((name) =>
    given.every((word) => word !== `--${flagOf(name)}` && word !== `--no-${flagOf(name)}`),
  );
  return {
    flags: left.flatMap(sampleFlag),
    options: nest(Object.fromEntries(left.map((name) => [name, sampleOf(name).value]))),
  };
}

/** Of flags, those that turn something on or off, the other way round. */
export function contraries(flags: readonly string[]): string[] {
  const switches = OPTION_NAMES.filter((name) => OPTIONS[name].kind === "switch").map(flagOf);
  return flags.flatMap((word) => {
    const name = word.replace(/^--(no-)?/, "");
    if (!switches.includes(name)) return [];
    return [word.startsWith("--no-") ? `--${name}` : `--no-${name}`];
  });
}
