/**
 * A table that was compiled far from the image, made to fit it: where a listed path is a link in a container, the file
 * that it leads to has its rights, there.
 */

import type { Direction } from "../../api/reasons.ts";
import { findBinary } from "../table/lookup.ts";
import { compareText } from "../table/names.ts";
import { tableHash } from "../table/table-hash.ts";
import type { BinaryRules, RuleTable } from "../table/tables.ts";
import { uniteRulesets, withAncestorFiles } from "../table/unite-rulesets.ts";

/** A container of a workload, and what its paths lead to. */
export interface ContainerFiles {
  name: string;
  ephemeral: boolean;
  /** The file that a path leads to in this container; the path itself where it is no link, or leads nowhere. */
  fileOf: (path: string) => string;
}

/**
 * The table with entries for the files that listed paths lead to; the same table where there are no links.
 * @throws CompileError if more than 64 blocks meet in one file
 */
export function tableWithSymlinks(table: RuleTable, containers: readonly ContainerFiles[]): RuleTable {
  const added = containers.flatMap((container) => entriesOf(table, container));
  if (added.length === 0) return table;
  const kept = table.binaries.filter(({ path, container }) => !added.some((entry) => isOf(entry, path, container)));
  const { hash: _, ...rest } = table;
  const content = { ...rest, binaries: [...kept, ...added].sort(compareBinaries) };
  return { hash: tableHash(content), ...content };
}

/** The entries that links of one container call for. */
function entriesOf(table: RuleTable, { name, ephemeral, fileOf }: ContainerFiles): BinaryRules[] {
  const effective = (path: string) => findBinary(table, path, { container: name, ephemeral })?.rules ?? null;
  const paths = [...new Set(table.binaries.map(({ path }) => path))].filter((path) => effective(path) !== null);
  const files = Map.groupBy(paths, fileOf);
  return [...files].flatMap(([file, listed]) => {
    const sources = [...new Set([file, ...listed])].map(effective).filter((entry) => entry !== null);
    const subject = `${file} of container ${name}`;
    const fitted = (direction: Direction) =>
      uniteRulesets(
        sources.map((source) => withAncestorFiles(source[direction], fileOf)),
        `${direction} of ${subject}`,
      );
    const entry = { path: file, container: name, egress: fitted("egress"), ingress: fitted("ingress") };
    const own = effective(file);
    return own !== null && own.egress.hash === entry.egress.hash && own.ingress.hash === entry.ingress.hash
      ? []
      : [entry];
  });
}

function isOf(entry: BinaryRules, path: string, container: string | null): boolean {
  return entry.path === path && entry.container === container;
}

function compareBinaries(left: BinaryRules, right: BinaryRules): number {
  return compareText(left.path, right.path) || compareText(left.container ?? "", right.container ?? "");
}
