/** Files of the workloads' containers: what tables' listed paths lead to there, and why they cannot be looked at. */

import type { PortcullisError } from "../../api/errors.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { type Workload, workloadKey, workloadName } from "../discovery/workload.ts";
import type { Enforcement } from "../enforce/enforcement.ts";
import { ContainerFiles, type FittedTable } from "../enforce/images/container-files.ts";
import type { ForeignFiles } from "../foreign-files/foreign-files.ts";

export interface WorkloadFilesParts {
  /** By whom files of workloads are looked at. */
  files: ForeignFiles;
  enforcement: Enforcement;
  /** Called when fitting may have another result from now on. */
  onLooked(): void;
  log: Logger;
}

export class WorkloadFiles {
  readonly #parts: WorkloadFilesParts;
  readonly #containers: ContainerFiles;
  readonly #unsubscribe: () => void;

  constructor(parts: WorkloadFilesParts) {
    this.#parts = parts;
    const { files, enforcement, onLooked, log } = parts;
    this.#containers = new ContainerFiles({
      files,
      processesOf: (cgroupId) => enforcement.processesOf(cgroupId),
      onLooked,
      onError: (workload, cause) =>
        log.warn({ workload: workloadName(workload), err: cause }, "cannot follow its listed links"),
    });
    this.#unsubscribe = files.subscribe(onLooked);
  }

  /**
   * The table with what listed paths lead to in the workload's containers; null while that is looked up.
   * @throws CompileError where the image's links bring more together than fits
   */
  fit(table: RuleTable, workload: Workload): FittedTable | null {
    return this.#containers.fit(table, workload, this.#parts.enforcement.enforcer.filesOf(workload));
  }

  /** Why files of a workload cannot be looked at; null if they can. */
  problemOf(workload: Workload): PortcullisError | null {
    return this.#parts.files.problemOf(workloadKey(workload)) ?? this.#containers.problemOf(workload);
  }

  /** Those of the workloads whose files cannot be looked at, and why. */
  problems(workloads: readonly Workload[]): { workload: Workload; problem: PortcullisError }[] {
    return workloads.flatMap((workload) => {
      const problem = this.problemOf(workload);
      return problem === null ? [] : [{ workload, problem }];
    });
  }

  /** Forgets all other workloads. */
  keep(workloads: readonly Workload[]): void {
    this.#containers.keep(workloads);
  }

  close(): void {
    this.#unsubscribe();
  }
}
