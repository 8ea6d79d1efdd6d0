/**
 * A table fitted to a pod: where a listed path is a link in a container's image, the file that it leads to counts too. Links of
 * each container are followed once in its life: nobody inside can lead a listed name to another file later, and a container that
 * is restarted in place, whose root is a new one, has its own looked at. The first process has executed nothing but its own
 * command by then.
 */

import { tableWithSymlinks } from "../../../policy/compile/symlinks.ts";
import { allBlocks } from "../../../policy/table/lookup.ts";
import type { BinaryRules, RuleTable } from "../../../policy/table/tables.ts";
import { steadyNow } from "../../../timing/steady-time.ts";
import { type Workload, type WorkloadContainer, workloadKey } from "../../discovery/workload.ts";
import { ForeignFileError } from "../../foreign-files/errors.ts";
import type { ForeignFiles } from "../../foreign-files/foreign-files.ts";
import type { Ask } from "../../foreign-files/questions.ts";

export interface FittedTable {
  table: RuleTable;
  /** The files that listed paths resolved to, by `container@cgroup:path`, to be given to the next call. */
  files: Record<string, string>;
}

export interface ContainerFilesParts {
  files: Pick<ForeignFiles, "ask" | "problemOf">;
  /** Processes of a container, by its cgroup: one of them may let the agent look where the first does not. */
  processesOf(cgroupId: bigint): readonly number[];
  /** Called when a look has come to its end: fitting has another result from now on. */
  onLooked(): void;
  onError(workload: Workload, error: unknown): void;
}

/** Paths to be looked up, and those of them that may lead by links which are not the image's. */
interface Listed {
  paths: string[];
  planted: string[];
}

interface Container {
  name: string;
  ephemeral: boolean;
  cgroupId: bigint;
  prefix: string;
  root: string;
  rootMount: string | null;
}

/** Processes of a container that are tried. */
const TRIED_MAX = 16;

/** A look that failed is repeated after this long, one that hung once the files answer again; listed paths are themselves meanwhile. */
const AGAIN_MS = 2_000;

export class ContainerFiles {
  readonly #parts: ContainerFilesParts;
  /** What was found and is in force nowhere yet, by workload. */
  readonly #found = new Map<string, Record<string, string>>();
  /** Containers that are being looked at (infinity), or could not be: until when nobody looks again. */
  readonly #notBefore = new Map<string, number>();
  /** Why a container could not be looked at. */
  readonly #problems = new Map<string, ForeignFileError>();

  constructor(parts: ContainerFilesParts) {
    this.#parts = parts;
  }

  /** Why links of a workload's image are not followed, null if they are. */
  problemOf(workload: Workload): ForeignFileError | null {
    const keys = firstOfEach(workload.containers).map((container) => containerKey(workload, container));
    return keys.map((key) => this.#problems.get(key)).find((problem) => problem !== undefined) ?? null;
  }

  /**
   * The table for a workload; null while its files are being looked at.
   * @param known `files` of the table in force
   * @throws CompileError if more than 64 blocks meet in one file
   */
  fit(table: RuleTable, workload: Workload, known: Readonly<Record<string, string>>): FittedTable | null {
    const containers = firstOfEach(workload.containers);
    const files = ofContainers({ ...this.#found.get(workloadKey(workload)), ...known }, containers);
    const looks = containers.map((container) => this.#look(workload, container, missing(table, container, files)));
    if (looks.includes("looking")) return null;
    this.#found.delete(workloadKey(workload));
    const rooted = containers.map(({ name, ephemeral, prefix }) => ({
      name,
      ephemeral,
      fileOf: (path: string) => files[prefix + path] ?? path,
    }));
    return { table: tableWithSymlinks(table, rooted), files };
  }

  #look(workload: Workload, container: Container, { paths, planted }: Listed): "done" | "looking" {
    if (paths.length === 0) return "done";
    const key = containerKey(workload, container);
    const notBefore = this.#notBefore.get(key) ?? 0;
    if (notBefore === Number.POSITIVE_INFINITY) return "looking";
    if (notBefore > steadyNow() || this.#parts.files.problemOf(workloadKey(workload)) !== null) return "done";
    this.#notBefore.set(key, Number.POSITIVE_INFINITY);
    const others = this.#parts.processesOf(container.cgroupId).slice(0, TRIED_MAX);
    const roots = [...new Set([container.root, ...others.map((pid) => `/proc/${pid}/root`)])];
    void this.#ask(workload, container, { roots, rootMount: container.rootMount, paths, planted });
    return "looking";
  }

  async #ask(workload: Workload, container: Container, ask: Ask<"links">): Promise<void> {
    const key = workloadKey(workload);
    try {
      const found = await this.#parts.files.ask(key, "links", ask);
      const named = Object.entries(found).map(([path, file]) => [container.prefix + path, file] as const);
      this.#found.set(key, { ...this.#found.get(key), ...Object.fromEntries(named) });
      this.#notBefore.delete(containerKey(workload, container));
      this.#problems.delete(containerKey(workload, container));
    } catch (error) {
      this.#notBefore.set(containerKey(workload, container), steadyNow() + (isHung(error) ? 0 : AGAIN_MS));
      if (error instanceof ForeignFileError) this.#problems.set(containerKey(workload, container), error);
      this.#parts.onError(workload, error);
    }
    this.#parts.onLooked();
  }

  /** Forgets containers that are gone. */
  keep(workloads: readonly Workload[]): void {
    const containers = new Set(
      workloads.flatMap((workload) => firstOfEach(workload.containers).map((one) => containerKey(workload, one))),
    );
    const keys = new Set(workloads.map(workloadKey));
    for (const kept of [this.#notBefore, this.#problems]) {
      for (const key of kept.keys()) if (!containers.has(key)) kept.delete(key);
    }
    for (const key of this.#found.keys()) if (!keys.has(key)) this.#found.delete(key);
  }
}

/** `container:path` of a key of `files`: a path alone, of a workload that is no pod, stays as it is. */
export function listedName(key: string): string {
  return key.replace(/^([^/@]*)@\d+:/, "$1:");
}

function containerKey(workload: Workload, { prefix }: Container): string {
  return `${workloadKey(workload)} ${prefix}`;
}

function missing(table: RuleTable, { prefix }: Container, files: Readonly<Record<string, string>>): Listed {
  const listed = Map.groupBy(table.binaries, ({ path }) => path);
  const ancestors = table.binaries.flatMap(({ egress, ingress }) => [...egress.ancestors, ...ingress.ancestors]);
  const named = new Set([...listed.keys(), ...ancestors.map(({ path }) => path)]);
  const paths = [...named].filter((path) => files[prefix + path] === undefined);
  return { paths, planted: paths.filter((path) => listed.get(path)?.every(isAny) ?? false) };
}

/** Every profile that lists it says `binary: Any`. */
function isAny({ egress, ingress }: BinaryRules): boolean {
  return [egress, ingress].every((ruleset) => ruleset.anyBinary === allBlocks(ruleset));
}

/** Nobody looks again before these files answer, and then at once. */
function isHung(error: unknown): boolean {
  return error instanceof ForeignFileError && error.code === "PC_FILES_HUNG";
}

/** One entry for each container; the others are cgroups that it has made below its own. */
function firstOfEach(containers: readonly WorkloadContainer[]): Container[] {
  const found = new Map<string, Container>();
  for (const { name, cgroupId, root, rootMount = null, isEphemeral: ephemeral = false } of containers) {
    if (root !== undefined && !found.has(name)) {
      found.set(name, { name, ephemeral, cgroupId, prefix: `${name}@${cgroupId}:`, root, rootMount });
    }
  }
  return [...found.values()];
}

function ofContainers(files: Readonly<Record<string, string>>, containers: readonly Container[]) {
  const own = Object.entries(files).filter(([key]) => containers.some(({ prefix }) => key.startsWith(prefix)));
  return Object.fromEntries(own);
}
