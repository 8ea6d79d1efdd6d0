/** A table fitted to a pod: where a listed path is a link in a container's image, the file that it leads to counts too. */
import { tableLedTo } from "../../policy/led-to.ts";
import type { RuleTable } from "../../policy/tables.ts";
import type { Workload, WorkloadContainer } from "../workload/workload.ts";
import { ListedFiles } from "./files.ts";

export interface FittedTable {
  table: RuleTable;
  /** What listed paths led to, to be given to the next call. */
  files: Record<string, string>;
}

/**
 * Follows the links of each container that has a process, once in the container's life: nobody inside can lead a listed name
 * to another file later. The first process has executed nothing but its own command by then.
 *
 * @param known `files` of the call before; what is of containers that are gone is left out
 * @throws CompileError if more than 64 blocks meet in one file
 */
export function fitToContainers(
  table: RuleTable,
  { containers }: Pick<Workload, "containers">,
  known: Readonly<Record<string, string>>,
): FittedTable {
  const rooted = firstOfEach(containers).map(({ name, cgroupId, root }) => {
    const prefix = `${cgroupId} `;
    return { name, prefix, files: new ListedFiles(root, ofContainer(known, prefix)) };
  });
  const fitted = tableLedTo(
    table,
    rooted.map(({ name, files }) => ({ name, fileOf: (path: string) => files.fileOf(path) })),
  );
  const files = rooted.flatMap(({ prefix, files }) =>
    Object.entries(files.entries()).map(([path, file]) => [prefix + path, file] as const),
  );
  return { table: fitted, files: Object.fromEntries(files) };
}

/** One entry for each container; the others are cgroups that it has made below its own. */
function firstOfEach(containers: readonly WorkloadContainer[]) {
  const found = new Map<string, { name: string; cgroupId: bigint; root: string }>();
  for (const { name, cgroupId, root } of containers) {
    if (root !== undefined && !found.has(name)) found.set(name, { name, cgroupId, root });
  }
  return [...found.values()];
}

function ofContainer(known: Readonly<Record<string, string>>, prefix: string): Record<string, string> {
  const own = Object.entries(known).filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(own.map(([key, file]) => [key.slice(prefix.length), file]));
}
