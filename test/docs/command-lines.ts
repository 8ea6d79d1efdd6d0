/** What can be said of a command without running it: that its subcommand, options, targets, values and files are there. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "./pages.ts";

const PROGRAMS = new Map([
  ["portcullis", "src/cli/main.ts"],
  ["kubectl portcullis", "src/cli/kubectl/main.ts"],
]);
/** Files that a reader has: a checkout's. */
const CHECKOUT_PATH = /^(examples|charts|config|crds|tools|docs|bin)\//;
const makefile = readFileSync(join(ROOT, "Makefile"), "utf8");
const values = parse(readFileSync(join(ROOT, "charts/portcullis/values.yaml"), "utf8")) as object;
const helps = new Map<string, string>();

/** The simple commands of a script, one by one, each as words without quotes. Bodies of here-documents are none. */
export function simpleCommands(script: string): string[][] {
  return script
    .replaceAll(/<<'?(\w+)'?(.*)\n[\s\S]*?\n\1\n/g, "$2\n")
    .replaceAll(/\\\n/g, " ")
    .replaceAll(/^\s*#.*$| #.*$/gm, "")
    .split(/\n|&&|\|\|?|;|\$\(|(?<![>&0-9])&(?!>)/)
    .map((command) => words(command))
    .filter((command) => command.length > 0);
}

function words(command: string): string[] {
  const found = command.match(/(?:[^\s"']|"[^"]*"|'[^']*')+/g) ?? [];
  return found
    .map((word) => word.replaceAll(/["']/g, "").replace(/\)$/, ""))
    .filter((word, index) => !(index === 0 && word === "sudo"));
}

/** What is wrong with a simple command; empty if nothing is. */
export function faultsOf(command: readonly string[]): string[] {
  const [name = "", second = ""] = command;
  const faults = command
    .filter((word) => CHECKOUT_PATH.test(word) && !existsSync(join(ROOT, word)))
    .map((word) => `there is no ${word}`);
  if (/^(bin\/)?portcullis$/.test(name)) faults.push(...optionFaults("portcullis", command.slice(1)));
  else if (name === "kubectl" && second === "portcullis") {
    faults.push(...optionFaults("kubectl portcullis", command.slice(2)));
  } else if (name === "make") faults.push(...targetFaults(command.slice(1)));
  else if (name === "helm") faults.push(...valueFaults(command));
  return faults;
}

function optionFaults(program: string, args: readonly string[]): string[] {
  const [subcommand = "", ...rest] = args;
  if (subcommand.startsWith("-")) return [];
  if (!new RegExp(`^ {2}${subcommand} `, "m").test(helpOf(program))) return [`${program} has no command ${subcommand}`];
  if (subcommand === "help") return [];
  const end = rest.indexOf("--");
  const own = end === -1 ? rest : rest.slice(0, end);
  const help = helpOf(program, subcommand);
  return own
    .filter((word) => /^--?[a-z]/i.test(word))
    .map((word) => word.split("=")[0] as string)
    .filter((option) => !new RegExp(`^ {2}(-\\w, )?${option}[ ,<\n]`, "m").test(help))
    .map((option) => `${program} ${subcommand} has no option ${option}`);
}

function helpOf(program: string, subcommand?: string): string {
  const key = `${program} ${subcommand ?? ""}`;
  const known = helps.get(key);
  if (known !== undefined) return known;
  const file = join(ROOT, PROGRAMS.get(program) as string);
  const args = [
    "--disable-warning=ExperimentalWarning",
    file,
    ...(subcommand === undefined ? [] : [subcommand]),
    "--help",
  ];
  const help = execFileSync(process.execPath, args, {
    encoding: "utf8",
    env: { PATH: process.env.PATH, COLUMNS: "80" },
  });
  helps.set(key, help);
  return help;
}

function targetFaults(args: readonly string[]): string[] {
  return args
    .filter((word) => /^[a-z-]+$/.test(word) && !makefile.includes(`\n${word}: `))
    .map((word) => `make has no target ${word}`);
}

/** Settings of the chart, which refuses unknown ones. */
function valueFaults(command: readonly string[]): string[] {
  if (!command.includes("charts/portcullis")) return [];
  return command
    .flatMap((word, index) => (word === "--set" ? (command[index + 1] ?? "").split(/,(?=[a-z.]+=)/i) : []))
    .map((setting) => setting.split("=")[0]?.replace(/\[\d+\]$/, "") ?? "")
    .filter((path) => !isValue(path.split(".")))
    .map((path) => `the chart has no value ${path}`);
}

function isValue(path: readonly string[]): boolean {
  let at: unknown = values;
  for (const key of path) {
    if (typeof at !== "object" || at === null || !(key in at)) return false;
    at = (at as Record<string, unknown>)[key];
  }
  return true;
}
