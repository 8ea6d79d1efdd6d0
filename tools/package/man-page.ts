/** Manual pages, written from commander's definitions, so that they say what `--help` says. */
import type { EventEmitter } from "node:events";
import type { Command } from "commander";

/** The pages of a command and of its subcommands: file name -> roff. */
export function manPages(root: Command, version: string): Map<string, string> {
  const children = root.commands.filter((command) => command.name() !== "help");
  const pages = new Map([[fileName(root.name()), page(root, root.name(), version, children)]]);
  for (const child of children) {
    const name = `${root.name()} ${child.name()}`;
    pages.set(fileName(name), page(child, name, version, []));
  }
  return pages;
}

function fileName(name: string): string {
  return `${name.replaceAll(" ", "-")}.1`;
}

function page(command: Command, name: string, version: string, children: readonly Command[]): string {
  const help = command.createHelp();
  const title = name.replaceAll(" ", "-");
  const options = help
    .visibleOptions(command)
    .map((option): [string, string] => [help.optionTerm(option), help.optionDescription(option)]);
  const commands = children.map((child): [string, string] => [child.name(), child.summary()]);
  return [
    `.TH ${title.toUpperCase()} 1 "" "portcullis ${version}" "Portcullis"`,
    ".SH NAME",
    `${roff(title)} \\- ${roff(command.summary() || command.description())}`,
    ".SH SYNOPSIS",
    `.B ${roff(name)}`,
    roff(command.usage()),
    ".SH DESCRIPTION",
    roff(command.description()),
    ...section("COMMANDS", commands),
    ...section("OPTIONS", options),
    ...afterHelp(command),
    ".SH SEE ALSO",
    children.length === 0
      ? ".BR portcullis (1)"
      : children.map((child) => `.BR ${roff(`${title}-${child.name()}`)} (1)`).join("\n"),
    "",
  ].join("\n");
}

function section(title: string, entries: readonly [string, string][]): string[] {
  if (entries.length === 0) return [];
  return [`.SH ${title}`, ...entries.flatMap(([term, text]) => [".TP", `.B ${roff(term)}`, roff(text)])];
}

/** Examples, notes and exit statuses, which are laid out already: each paragraph that is a title begins a section. */
function afterHelp(command: Command): string[] {
  const parts: string[] = [];
  // Its types leave out that it is one.
  (command as unknown as EventEmitter).emit("afterHelp", {
    error: false,
    command,
    write: (text: string) => parts.push(text),
  });
  const blocks = parts
    .join("")
    .trim()
    .split(/\n\n+/)
    .filter((block) => block !== "");
  return blocks.flatMap((block, index) => {
    const [first = "", ...rest] = block.split("\n");
    const isTitled = /^[A-Z][a-z ]+:$/.test(first);
    const heading = isTitled ? first.slice(0, -1).toUpperCase() : index === 0 ? "NOTES" : null;
    const lines = (isTitled ? rest : [first, ...rest]).map(roff);
    return [heading === null ? ".PP" : `.SH ${heading}`, ".nf", ...lines, ".fi"];
  });
}

/** Text as roff takes it: no line is a request, and hyphens are the ones that can be copied. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1");
}
