/** Records of a workload's replicas, gathered: what was done, one of each, and what the records cover. */
import { normalizeName } from "../api/names.ts";
import type { Direction } from "../api/reasons.ts";
import type { AgentEvent, VerdictEvent, WorkloadReference } from "../flow/record.ts";
import { RULE_REASONS } from "../policy/explain/remedy.ts";
import { compareText } from "../policy/table/names.ts";
import { protocolNumber } from "../policy/table/ports.ts";
import type { Subject } from "../policy/table/subject.ts";
import { type Evidence, unitedEvidence } from "./evidence.ts";

/** What a process did, as far as a rule can tell it from something else. */
export interface Observation {
  /** Null: packets of no process. */
  subject: Subject | null;
  /** Executable of the process that started it; null where that is not known. */
  parent: string | null;
  /** Who began: `egress` is the workload. */
  direction: Direction;
  /** Address of the other side. */
  peer: string;
  /** The name under which this process had learned the address. */
  name: string | null;
  /** Further ones of the address that this process knew, where records have that. */
  aliases: readonly string[];
  /** As profiles write it: `tcp`, `icmp`, `47`. */
  protocol: string;
  /** Remote port for egress, local port for ingress; null for protocols without ports. */
  port: number | null;
  /** What was asked of a name server, and whether the message carries records of its own (updates, notifications). */
  question: { name: string; carriesRecords: boolean } | null;
  /** What the first payload was recognised as; null where that is not known. */
  application: string | null;
  /** Whether the profiles in force allowed it, or nobody judged it. */
  allowed: boolean;
  evidence: Evidence;
}

/** What a recording holds, and what it is missing. */
export interface Coverage {
  replicas: string[];
  /** Of the first and the last record; null where there is none. */
  from: string | null;
  to: string | null;
  /** Records that something was learned from, or could have been. */
  records: number;
  /** Records that are missing, of all workloads of the nodes concerned. */
  lost: number;
  /** Packets that the profiles in force did not allow, whether or not they were dropped. */
  violations: number;
}

export class Recording {
  readonly #observations = new Map<string, Observation>();
  readonly #labels = new Map<string, Readonly<Record<string, string>>>();
  #from: string | null = null;
  #to: string | null = null;
  #records = 0;
  #lost = 0;
  #violations = 0;

  /** Takes a record; those of other kinds are passed over. */
  add(event: AgentEvent): void {
    if (event.type === "lost") this.lose(event.count);
    if (event.type !== "verdict" && event.type !== "dns") return;
    this.#cover(event);
    if (event.verdict !== "allowed") this.#violations += event.count;
    if (isAboutRules(event) && !isAnswer(event) && !isLinkControl(event)) this.#observe(event);
  }

  /** Notes that records are missing. */
  lose(count: number): void {
    this.#lost += count;
  }

  /** Notes all names under which an executable has learned an address, when all records are there. */
  know(path: string, address: string, names: readonly string[]): void {
    for (const observation of this.#observations.values()) {
      const { subject, peer, name } = observation;
      if (name === null || peer !== address || subject?.path !== path) continue;
      observation.aliases = names.map(normalizeName).filter((other) => other !== name);
    }
  }

  /** In an order that does not depend on that of the records. */
  observations(): Observation[] {
    const sorted = [...this.#observations].sort(([one], [other]) => compareText(one, other));
    return sorted.map(([, observation]) => observation);
  }

  /** Labels of each replica. */
  labels(): Readonly<Record<string, string>>[] {
    return [...this.#labels].sort(([one], [other]) => compareText(one, other)).map(([, labels]) => labels);
  }

  coverage(): Coverage {
    return {
      replicas: [...this.#labels.keys()].sort(compareText),
      ...{ from: this.#from, to: this.#to, records: this.#records, lost: this.#lost, violations: this.#violations },
    };
  }

  #cover({ time, workload }: VerdictEvent): void {
    this.#records += 1;
    if (this.#from === null || time < this.#from) this.#from = time;
    if (this.#to === null || time > this.#to) this.#to = time;
    this.#labels.set(replicaName(workload), workload.labels);
  }

  #observe(event: VerdictEvent): void {
    const observation = observationOf(event);
    const { evidence, ...what } = observation;
    const key = JSON.stringify(what);
    const known = this.#observations.get(key);
    if (known === undefined) this.#observations.set(key, observation);
    else known.evidence = unitedEvidence([known.evidence, evidence]);
  }
}

/** For everything else, such as a packet that cannot be read, no rule makes a difference. */
function isAboutRules({ reason }: VerdictEvent): boolean {
  return reason === "Allowed" || RULE_REASONS.has(reason);
}

/** An answer belongs to its question, of which there is a record. */
function isAnswer({ dns }: VerdictEvent): boolean {
  return dns?.rcode !== undefined;
}

/** What a host's kernel says to be on its link, and hears there: it passes under every profile without a `default`. */
function isLinkControl({ process, proto, direction, src }: VerdictEvent): boolean {
  if (process !== null) return false;
  const isLocal = direction === "egress" || /^fe[89ab]/.test(src.ip) || src.ip === "::";
  return proto === "arp" || ((proto === "icmpv6" || proto === "igmp") && isLocal);
}

/** `namespace/name`, with the uid where there is one: another pod may take the name later. */
function replicaName({ namespace, name, uid }: WorkloadReference): string {
  return `${namespace}/${name}${uid === undefined ? "" : ` ${uid}`}`;
}

/** What a record says. */
export function observationOf(event: VerdictEvent): Observation {
  const { direction, src, dst, proto, dns, application, time, count } = event;
  const egress = direction === "egress";
  return {
    subject: subjectOf(event),
    parent: event.process?.parent?.path ?? null,
    direction,
    peer: egress ? dst.ip : src.ip,
    name: egress && dst.name !== undefined ? normalizeName(dst.name) : null,
    aliases: [],
    protocol: proto,
    port: dst.port ?? null,
    question:
      egress && dns !== undefined ? { name: normalizeName(dns.name), carriesRecords: dns.opcode !== undefined } : null,
    application: application ?? null,
    allowed: event.verdict === "allowed",
    evidence: { times: count, first: time, last: time, replicas: new Set([replicaName(event.workload)]) },
  };
}

/** What is not IP belongs to no process, whoever sent it. */
function subjectOf({ process, proto }: VerdictEvent): Subject | null {
  if (process === null || protocolNumber(proto) === null) return null;
  const { path = null, script = null, container = null, modified = false } = process;
  return { path, script, container, modified, ephemeral: false, ancestry: null, user: null };
}
