/** What may stand at the cursor of a command line, worked out from commander's definitions. Shells and kubectl ask for it by `__complete`. */
import type { Argument, Command, Option } from "commander";

export interface Candidates {
  /** Word, and what it means; empty where that is not known. */
  words: [string, string][];
  /** Names of files may stand here as well. */
  files: boolean;
}

const NOTHING: Candidates = { words: [], files: false };
const FILES: Candidates = { words: [], files: true };
/** What the placeholder of a value that is a path is called. */
const PATH_VALUE = /^[<[](file|path|folder|dir|netns-file|command)(\.\.\.)?[>\]]$/;

/**
 * @param words behind the program's name; the last is the one at the cursor, as far as it is typed
 * @param named words that an argument of this name stands for, such as the pods of a cluster
 */
export function candidates(
  root: Command,
  words: readonly string[],
  named: (argument: string) => string[] = () => [],
): Candidates {
  const before = words.slice(0, -1);
  const typed = words.at(-1) ?? "";
  if (before.includes("--")) return FILES;
  const { command, operands, pending } = walk(root, before);
  if (pending !== null) return startingWith(typed, valuesOf(pending));
  if (typed.startsWith("--") && typed.includes("=")) return assigned(command, typed);
  if (typed.startsWith("-")) return startingWith(typed, { words: optionsOf(command), files: false });
  if (command.commands.length > 0) return startingWith(typed, { words: subcommandsOf(command), files: false });
  const argument = command.registeredArguments[Math.min(operands, command.registeredArguments.length - 1)];
  if (argument === undefined || (operands >= command.registeredArguments.length && !argument.variadic)) return NOTHING;
  return startingWith(typed, argumentWords(argument, named));
}

/** As cobra prints it, which kubectl reads: a word a line, what it means behind a tab, and `:4` where no file may stand. */
export function candidatesText({ words, files }: Candidates): string {
  const lines = words.map(([word, meaning]) => (meaning === "" ? word : `${word}\t${meaning}`));
  return `${[...lines, files ? ":0" : ":4"].join("\n")}\n`;
}

/** Reads complete words: which command they lead to, how many operands it has, and which option waits for its value. */
function walk(root: Command, words: readonly string[]): { command: Command; operands: number; pending: Option | null } {
  let command = root;
  let operands = 0;
  let pending: Option | null = null;
  for (const word of words) {
    if (pending !== null) pending = null;
    else if (word.startsWith("-")) pending = word.includes("=") ? null : valueTaker(command, word);
    else {
      const child = operands === 0 ? command.commands.find((one) => one.name() === word) : undefined;
      if (child === undefined) operands += 1;
      else command = child;
    }
  }
  return { command, operands, pending };
}

function valueTaker(command: Command, flag: string): Option | null {
  const option = command.options.find(({ long, short }) => flag === long || flag === short);
  return option?.required === true ? option : null;
}

function valuesOf(option: Option): Candidates {
  if (option.argChoices !== undefined) return { words: option.argChoices.map((choice) => [choice, ""]), files: false };
  const [, placeholder = ""] = option.flags.split(/(?=[<[])/);
  return PATH_VALUE.test(placeholder) ? FILES : NOTHING;
}

/** `--output=j`. */
function assigned(command: Command, typed: string): Candidates {
  const [flag = "", value = ""] = typed.split(/=(.*)/s);
  const option = valueTaker(command, flag);
  if (option === null) return NOTHING;
  const { words, files } = startingWith(value, valuesOf(option));
  return { words: words.map(([word, meaning]) => [`${flag}=${word}`, meaning]), files };
}

function optionsOf(command: Command): [string, string][] {
  return command
    .createHelp()
    .visibleOptions(command)
    .map(({ long, short, description }) => [long ?? short ?? "", description]);
}

function subcommandsOf(command: Command): [string, string][] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((child) => [child.name(), child.summary() || child.description()]);
}

function argumentWords(argument: Argument, named: (argument: string) => string[]): Candidates {
  const choices = argument.argChoices ?? named(argument.name());
  return { words: choices.map((choice) => [choice, ""]), files: PATH_VALUE.test(`<${argument.name()}>`) };
}

function startingWith(typed: string, { words, files }: Candidates): Candidates {
  return { words: words.filter(([word]) => word.startsWith(typed)), files };
}
