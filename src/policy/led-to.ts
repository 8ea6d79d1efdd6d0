/**
 * A table that was compiled far from the image, made to fit it: where a listed path is a link in a container, the file
 * that it leads to has its rights, there.
 */
import { tableHash } from "./compile.ts";
import { compareText } from "./names.ts";
import type { BinaryRules, RuleTable } from "./tables.ts";
import { uniteRulesets } from "./unite-rulesets.ts";

/** A container of a workload, and what its paths lead to. */
export interface ContainerFiles {
  name: string;
  /** The file that a path leads to in this container; the path itself where it is no link, or leads nowhere. */
  fileOf: (path: string) => string;
}

/**
 * The table with entries for the files that listed paths lead to; the same table where there are no links.
 * @throws CompileError if more than 64 blocks meet in one file
 */
export function tableLedTo(table: RuleTable, containers: readonly ContainerFiles[]): RuleTable {
  const added = containers.flatMap((container) => entriesOf(table.binaries, container));
  if (added.length === 0) return table;
  const kept = table.binaries.filter(({ path, container }) => !added.some((entry) => isOf(entry, path, container)));
  const { hash: _, ...rest } = table;
  const content = { ...rest, binaries: [...kept, ...added].sort(compareBinaries) };
  return { hash: tableHash(content), ...content };
}

/** The entries that links of one container call for. */
function entriesOf(binaries: readonly BinaryRules[], { name, fileOf }: ContainerFiles): BinaryRules[] {
  const paths = [...new Set(binaries.map(({ path }) => path))].filter(
    (path) => effective(binaries, path, name) !== null,
  );
  const links = Map.groupBy(
    paths.filter((path) => fileOf(path) !== path),
    fileOf,
  );
  return [...links].map(([file, listed]) => {
    const sources = [file, ...listed].map((path) => effective(binaries, path, name)).filter((entry) => entry !== null);
    const subject = `${file} of container ${name}`;
    return {
      path: file,
      container: name,
      egress: uniteRulesets(
        sources.map(({ egress }) => egress),
        `egress of ${subject}`,
      ),
      ingress: uniteRulesets(
        sources.map(({ ingress }) => ingress),
        `ingress of ${subject}`,
      ),
    };
  });
}

/** What the kernel would find for a path in a container. */
function effective(binaries: readonly BinaryRules[], path: string, container: string): BinaryRules | null {
  return (
    binaries.find((entry) => isOf(entry, path, container)) ?? binaries.find((entry) => isOf(entry, path, null)) ?? null
  );
}

function isOf(entry: BinaryRules, path: string, container: string | null): boolean {
  return entry.path === path && entry.container === container;
}

function compareBinaries(left: BinaryRules, right: BinaryRules): number {
  return compareText(left.path, right.path) || compareText(left.container ?? "", right.container ?? "");
}
