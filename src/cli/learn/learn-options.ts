/** Options of every command that learns a profile. */
import { Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { GENERALIZATIONS, type Generalization } from "../../learn/generalize.ts";

export function includeOption(): Option {
  return new Option(
    "--include <path>",
    "learn this shell, package manager, debugger or changed executable, too; repeatable",
  ).argParser((text: string, before: string[] | undefined) => [...(before ?? []), text]);
}

export function generalizeOption(): Option {
  return new Option(
    "--generalize <what>",
    "write *.parent for five or more sibling names, the block for five or more of its addresses: names, addresses or both",
  ).argParser(parseGeneralizations);
}

/** `names,addresses`. @throws UsageError */
function parseGeneralizations(text: string): Generalization[] {
  return text.split(",").map((word) => {
    const known = GENERALIZATIONS.find((generalization) => generalization === word);
    if (known === undefined) {
      throw new UsageError(`--generalize ${text}: write ${GENERALIZATIONS.join(", ")}, or both with a comma between`);
    }
    return known;
  });
}
