/** What the operator's bindings come to on this node: a policy for each workload. */
import { InternalError } from "../../api/errors.ts";
import { type Binding, PolicyKind } from "../../gen/agent_pb.js";
import type { RuleTable } from "../../policy/table/tables.ts";
import type { Workload } from "../discovery/workload.ts";
import type { DesiredPolicy } from "../enforce/desired.ts";
import type { FittedTable } from "../enforce/images/container-files.ts";
import type { StartupFailurePolicy } from "../guard/startup-wait.ts";
import type { PodBindings } from "./pod-bindings.ts";

export interface PodPoliciesOptions {
  bindings: PodBindings;
  /** Namespaces whose pods never wait for their policy. */
  exemptNamespaces: ReadonlySet<string>;
  /** Namespaces whose new pods stay blocked until their policy is known, whatever the general rule. */
  blockNamespaces: ReadonlySet<string>;
  startupFailurePolicy: StartupFailurePolicy;
  /** The table with what listed paths lead to in the workload's containers; null while that is looked up. */
  fit(table: RuleTable, workload: Workload): FittedTable | null;
  /** What holds for a workload whose policy is not known; `after` gives what is known of others like it. */
  unknown(
    workload: Workload,
    options: { after: () => DesiredPolicy | null; policy?: "Allow" | "Block" },
  ): DesiredPolicy;
}

export class PodPolicies {
  readonly #options: PodPoliciesOptions;
  /** Hash of a table as it is in force -> as the operator named it. */
  readonly #named = new Map<string, string>();

  constructor(options: PodPoliciesOptions) {
    this.#options = options;
  }

  /**
   * The policy that is wanted.
   * @throws CompileError where the image's links bring more together than fits
   */
  policyOf(workload: Workload): DesiredPolicy {
    const binding = this.#bindingOf(workload);
    if (binding !== null && binding.policy !== PolicyKind.KEEP) return this.#bound(binding, workload);
    return this.unknown(workload);
  }

  /** The policy while what is wanted is not known, or cannot be had. */
  unknown(workload: Workload): DesiredPolicy {
    const { exemptNamespaces, unknown } = this.#options;
    if (exemptNamespaces.has(workload.namespace)) return { kind: "unrestricted" };
    return unknown(workload, { after: () => this.#lastKnown(workload), policy: this.#failurePolicy(workload) });
  }

  /** What is to become of a pod that nothing is known of in time. */
  #failurePolicy({ namespace }: Workload): "Allow" | "Block" {
    const { blockNamespaces, startupFailurePolicy, bindings } = this.#options;
    if (blockNamespaces.has(namespace)) return "Block";
    if (startupFailurePolicy !== "Auto") return startupFailurePolicy;
    const enforcing = bindings.enforcingNamespaces();
    // A pod whose namespace cannot be read may be of any of them.
    const isMeant = namespace === "" ? enforcing.size > 0 : enforcing.has(namespace);
    return isMeant ? "Block" : "Allow";
  }

  /** The operator's name for a table in force; empty where it is not known. */
  operatorHash(inForce: string | null): string {
    return inForce === null ? "" : (this.#named.get(inForce) ?? "");
  }

  /** Forgets names of tables that are in force nowhere. */
  keep(inForce: ReadonlySet<string>): void {
    for (const hash of this.#named.keys()) if (!inForce.has(hash)) this.#named.delete(hash);
  }

  #bindingOf({ podUid }: Workload): Binding | null {
    return podUid === undefined ? null : this.#options.bindings.bindingOf(podUid);
  }

  #lastKnown(workload: Workload): DesiredPolicy | null {
    const last = workload.podUid === undefined ? null : this.#options.bindings.lastKnown(workload.podUid);
    return last === null ? null : this.#bound(last, workload);
  }

  #bound(binding: Binding, workload: Workload): DesiredPolicy {
    if (binding.policy !== PolicyKind.TABLE) return { kind: "unrestricted" };
    const table = this.#options.bindings.held.tables.get(binding.tableHash);
    if (table === undefined) throw new InternalError(`table ${binding.tableHash} is bound and not held`);
    return this.#fitted(table, workload);
  }

  #fitted(table: RuleTable, workload: Workload): DesiredPolicy {
    const fitted = this.#options.fit(table, workload);
    if (fitted === null) return { kind: "unchanged" };
    this.#named.set(fitted.table.hash, table.hash);
    return { kind: "table", ...fitted };
  }
}
