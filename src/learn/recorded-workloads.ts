/** Records of many workloads, grouped by workload: one recording for all replicas of a workload. */
import { ownerName } from "../flow/owner.ts";
import type { AgentEvent } from "../flow/record.ts";
import { compareText } from "../policy/table/names.ts";
import { Drift } from "./drift.ts";
import { PodAddresses } from "./pod-addresses.ts";
import { Recording } from "./recording.ts";

export interface RecordedWorkload {
  namespace: string;
  /** Of the owner of its pods. */
  name: string;
  recording: Recording;
  drift: Drift;
}

export class RecordedWorkloads {
  readonly #workloads = new Map<string, RecordedWorkload>();
  /** Of all of them: each may be a peer of another. */
  readonly pods = new PodAddresses();
  #lost = 0;

  add(event: AgentEvent): void {
    if (event.type === "lost") this.#lost += event.count;
    if (event.type !== "verdict" && event.type !== "dns" && event.type !== "listen") return;
    const { namespace } = event.workload;
    const name = ownerName(event.workload);
    const key = `${namespace}/${name}`;
    const workload = this.#workloads.get(key) ?? { namespace, name, recording: new Recording(), drift: new Drift() };
    this.#workloads.set(key, workload);
    workload.recording.add(event);
    workload.drift.add(event);
    this.pods.add(event);
  }

  /** By namespace and name. What was lost may have been of each of them. To be called once, when all records are there. */
  end(): RecordedWorkload[] {
    const sorted = [...this.#workloads].sort(([one], [other]) => compareText(one, other));
    for (const [, { recording }] of sorted) recording.lose(this.#lost);
    return sorted.map(([, workload]) => workload);
  }
}
