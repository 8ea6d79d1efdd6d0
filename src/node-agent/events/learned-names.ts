/** All names under which processes have learned addresses. An event has one of them: two names may lead to one address. */
import { PATH_ID_MODIFIED } from "../../gen/abi.gen.ts";
import type { Maps } from "../kernel/typed-maps.ts";
import { addressText } from "./addresses.ts";
import type { Directory } from "./enrich.ts";

export interface LearnedNames {
  /** Executable of the process that asked. */
  path: string;
  address: string;
  names: string[];
}

export function learnedNames(
  { learned }: Pick<Maps, "learned">,
  directory: Pick<Directory, "path" | "name">,
): LearnedNames[] {
  return [...learned.entries()].flatMap(([{ workloadId, pathId, address }, { names }]) => {
    const path = directory.path(pathId & (PATH_ID_MODIFIED - 1));
    const known = names.filter(({ hash }) => hash !== 0n).map(({ hash }) => directory.name(workloadId, hash));
    if (path === null) return [];
    return [{ path, address: addressText(address), names: known.filter((name) => name !== null) }];
  });
}
