/** What has failed in the kernel side, and where: the readout of bpf/include/memory/errors.h. */
import { ErrorKind } from "../../gen/abi.gen.ts";
import type { Maps } from "../kernel/typed-maps.ts";

/** One kind of failure. */
export interface CountedError {
  /** Of `enum error`, in lower case: `packet_read`. */
  name: string;
  count: number;
  /** The most frequent first. Counted since the programs were loaded, and `count` since their maps were made. */
  sites: ErrorSiteCount[];
}

/** Failures that one line of the kernel side has counted. */
export interface ErrorSiteCount {
  /** File below bpf/include or bpf, and line: `packet/ip.h:59`. */
  site: string;
  count: number;
}

type ErrorMaps = Pick<Maps, "errors" | "errorSites">;

/** Every kind, those that never failed included. */
export function readKernelErrors({ errors, errorSites }: ErrorMaps): CountedError[] {
  const sites = Map.groupBy(errorSites.entries(), ([{ error }]) => error);
  return Object.entries(ErrorKind)
    .filter(([name]) => name !== "COUNT")
    .map(([name, kind]) => ({
      name: name.toLowerCase(),
      count: Number(errors.get(kind) ?? 0n),
      sites: (sites.get(kind) ?? [])
        .map(([{ file, line }, count]) => ({ site: `${file}:${line}`, count: Number(count) }))
        .sort((one, other) => other.count - one.count || one.site.localeCompare(other.site)),
    }));
}
