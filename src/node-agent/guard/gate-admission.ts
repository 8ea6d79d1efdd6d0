/** Who is let through the gate: the namespaces of workloads whose interfaces all have classifiers. */

import ipaddr from "ipaddr.js";
import type { Logger } from "../../telemetry/logger.ts";
import { Gate, type GateOptions } from "../enforce/attach/gate.ts";
import type { WorkloadOutcome } from "../enforce/desired.ts";
import type { WorkloadState } from "../enforce/state/state.ts";
import type { Maps } from "../kernel/typed-maps.ts";

export interface GateAdmissionOptions {
  maps: Maps;
  pinRoot: string;
  /** gate.bpf.o */
  objectPath: string;
  /** Workloads in force, now and later. */
  inForce: { readonly workloads: readonly WorkloadState[] };
  /** Null: nothing is shut off, and what an earlier agent had shut is taken away. */
  gate: GateOptions | null;
  log: Logger;
}

export class GateAdmission {
  readonly #options: GateAdmissionOptions;
  readonly #gate: Gate;

  /**
   * Shuts the gate: who was admitted by an earlier agent still is; everybody else waits for the first reconcile.
   * @throws GateError, LoadError, KernelError
   */
  constructor(options: GateAdmissionOptions) {
    this.#options = options;
    const { maps, pinRoot, objectPath, inForce, gate, log } = options;
    this.#gate = new Gate(maps, log);
    if (gate === null) {
      if (this.#gate.remove(pinRoot)) log.info("the gate that an earlier agent had shut is taken away");
      return;
    }
    // An earlier agent without a gate has let nobody through, because it did not have to.
    if (!this.#gate.isShut) this.#gate.admit(inForce.workloads);
    this.#gate.shut(pinRoot, objectPath, gate);
  }

  /**
   * Whoever has no address yet waits: a neighbour request from one that is not known would be dropped as forged, and
   * not be repeated for a second.
   */
  admit(outcomes: readonly WorkloadOutcome[]): void {
    if (this.#options.gate === null) return;
    const unguarded = new Set(outcomes.filter(({ state }) => state === "failed").map(({ id }) => id));
    const { workloads } = this.#options.inForce;
    this.#gate.admit(workloads.filter(({ id, addresses }) => !unguarded.has(id) && !addresses.every(isLinkLocal)));
    this.#gate.reportLetThrough();
  }

  /** Forgets namespaces behind the gate that are no more. */
  forgetDead(): void {
    this.#gate.forgetDead();
  }
}

/** Given by the kernel, before anybody configures anything. */
function isLinkLocal(address: string): boolean {
  return ipaddr.parse(address).range() === "linkLocal";
}
