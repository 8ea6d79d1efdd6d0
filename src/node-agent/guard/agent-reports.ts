/** What the agent logs about itself: each thing once, when it changes. */

import type { PortcullisError } from "../../api/errors.ts";
import { isEffect } from "../../api/types.ts";
import type { EventSink } from "../../export/sink.ts";
import type { RevisionError, RevisionEvent, WorkloadEvent } from "../../flow/record.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { type UnresolvedWorkload, type WorkloadSnapshot, workloadName } from "../discovery/workload.ts";
import type { WorkloadOutcome } from "../enforce/desired.ts";
import type { ProfileRevision } from "../profiles/source.ts";

export class AgentReports {
  readonly #sink: EventSink;
  readonly #workloads = new Map<string, string>();
  readonly #states = new Map<string, WorkloadEvent["state"]>();
  readonly #problems = new Set<string>();
  #ready = false;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  /** A revision is in force (no errors), or was refused. */
  revision(revision: ProfileRevision, errors: RevisionError[], changes: RevisionEvent["changes"]): void {
    this.#sink.write({
      time: now(),
      type: "revision",
      revision: revision.revision,
      refused: errors.length > 0,
      profiles: revision.profiles.map(({ metadata }) => `${metadata.namespace ?? "default"}/${metadata.name}`).sort(),
      errors,
      changes,
    });
  }

  /** What became of the workloads. */
  workloads(outcomes: readonly WorkloadOutcome[], unresolved: readonly UnresolvedWorkload[]): void {
    for (const outcome of outcomes) this.#workload(outcomeEvent(outcome));
    for (const workload of unresolved) this.#workload(unresolvedEvent(workload));
  }

  /** `ready`, once: when all that was named is in force. */
  ready({ workloads, unresolved }: WorkloadSnapshot): void {
    const inForce = (key: string) => {
      const state = this.#states.get(key) ?? "";
      return isEffect(state) || state === "partly" || state === "unrestricted";
    };
    if (this.#ready || unresolved.length > 0 || !workloads.every((workload) => inForce(workloadName(workload)))) return;
    this.#ready = true;
    this.#sink.write({ time: now(), type: "ready", workloads: workloads.map(({ name }) => name) });
  }

  /** What cannot be guarded although the workloads as a whole are: each thing when it begins, and when it begins again. */
  problems(problems: readonly PortcullisError[], log: Logger): void {
    const now = new Set(problems.map(({ message }) => message));
    for (const message of this.#problems) if (!now.has(message)) this.#problems.delete(message);
    for (const { code, message } of problems) {
      if (this.#problems.has(message)) continue;
      this.#problems.add(message);
      log.warn({ code }, message);
    }
  }

  #workload(event: WorkloadEvent): void {
    const key = workloadName(event.workload);
    const { time: _, ...content } = event;
    const text = JSON.stringify(content);
    this.#states.set(key, event.state);
    if (this.#workloads.get(key) === text) return;
    this.#workloads.set(key, text);
    this.#sink.write(event);
  }
}

function outcomeEvent(outcome: WorkloadOutcome): WorkloadEvent {
  const { name, namespace, labels, state, interfaces, profiles, problems } = outcome;
  const error = outcome.error ?? problems[0] ?? null;
  return {
    time: now(),
    type: "workload",
    workload: { name, namespace, labels },
    state,
    interfaces,
    profiles,
    ...(error === null ? {} : { error }),
  };
}

function unresolvedEvent({ name, namespace, labels, problem }: UnresolvedWorkload): WorkloadEvent {
  return {
    time: now(),
    type: "workload",
    workload: { name, namespace, labels: { ...labels } },
    state: "failed",
    interfaces: [],
    profiles: [],
    error: { code: problem.code, message: problem.message },
  };
}

function now(): string {
  return new Date().toISOString();
}
