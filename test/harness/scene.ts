/** A workload in the classifier's harness, with its resolver and its peers: what tests say in few words. */
import assert from "node:assert/strict";
import type { Reason } from "../../src/api/reasons.ts";
import {
  API_VERSION,
  type EgressRules,
  type IngressRules,
  KIND,
  type SecurityProfileSpec,
} from "../../src/api/types.ts";
import { validateProfile } from "../../src/api/validation/validate.ts";
import { compileTable } from "../../src/policy/compile/compile.ts";
import type { RuleTable } from "../../src/policy/table/tables.ts";
import { type AnswerFields, answer, type MessageFields, type NameField, question } from "../packets/dns.ts";
import { frame, HOST_MAC, WORKLOAD_MAC } from "../packets/ethernet.ts";
import { ip } from "../packets/ip.ts";
import { type Transport, udp } from "../packets/transport.ts";
import {
  ClassifierHarness,
  type Outcome,
  type PacketFacts,
  type ProcessRef,
  type RigOptions,
} from "./classifier-harness.ts";

export const OWN = "10.0.0.2";
export const OWN6 = "fd00::2";
export const LINK_LOCAL = "fe80::2";
export const RESOLVER = "10.0.0.53";
export const RESOLVER6 = "fd00::53";
export const PEER = "192.0.2.7";
export const PEER6 = "2001:db8::7";
export const APP: ProcessRef = { path: "/bin/app" };
export const STRANGER: ProcessRef = { path: "/tmp/stranger" };

/** The port that questions are asked from. */
const ASKING = 5000;
const DNS = 53;

/** One table from profiles' specs. @throws AssertionError if one is refused */
export function tableOf(specs: SecurityProfileSpec[], searchDomains: string[] = []): RuleTable {
  const profiles = specs.map((spec, index) => {
    const name = `p${index}`;
    const written = { apiVersion: API_VERSION, kind: KIND, metadata: { name, labels: { app: name } }, spec };
    const { profile, errors } = validateProfile(written);
    assert.ok(profile !== null, JSON.stringify(errors));
    return profile;
  });
  return compileTable(profiles, { searchDomains });
}

/** A spec under which `/bin/app` may do this, enforced. */
export function appSpec(egress: EgressRules | null, ingress: IngressRules | null = null): SecurityProfileSpec {
  const network = { ...(egress && { egress }), ...(ingress && { ingress }) };
  return { actions: ["enforce"], processes: [{ path: APP.path, network }] };
}

export class Scene implements Disposable {
  readonly harness: ClassifierHarness;

  constructor(name: string, options: Omit<RigOptions, "name"> = {}) {
    this.harness = new ClassifierHarness({ name, ...options });
    this.harness.become({ addresses: [OWN, OWN6, LINK_LOCAL] });
  }

  [Symbol.dispose](): void {
    this.harness[Symbol.dispose]();
  }

  /** Begins anew: nothing has been seen, and these profiles are in force. */
  begin(...specs: SecurityProfileSpec[]): void {
    this.harness.clear();
    this.change(...specs);
  }

  /** Begins anew with a profile under which `/bin/app` may do this. */
  allow(egress: EgressRules | null, ingress: IngressRules | null = null): void {
    this.begin(appSpec(egress, ingress));
  }

  /** Puts other profiles in force. */
  change(...specs: SecurityProfileSpec[]): void {
    this.harness.apply(tableOf(specs));
    this.harness.collectTables();
  }

  /** What becomes of a packet that `/bin/app`, unless the facts say otherwise, sends to an address. */
  out(to: string, transport: Transport, facts: PacketFacts = { process: APP }): Reason {
    return this.outFrame(frame(ip({ from: ownAddress(to), to }, transport)), facts);
  }

  /** What becomes of a packet that comes from an address. */
  in(from: string, transport: Transport, facts: PacketFacts = {}): Reason {
    return this.inFrame(incoming(ip({ from, to: ownAddress(from) }, transport)), facts);
  }

  /** As `out`, where nothing is enforced. */
  watch(to: string, transport: Transport, facts: PacketFacts = { process: APP }): Outcome["reason"] | undefined {
    return this.harness.run("egress", frame(ip({ from: ownAddress(to), to }, transport)), facts)?.reason;
  }

  outFrame(bytes: Uint8Array, facts: PacketFacts = { process: APP }): Reason {
    return enforced(this.harness.run("egress", bytes, facts));
  }

  inFrame(bytes: Uint8Array, facts: PacketFacts = {}): Reason {
    return enforced(this.harness.run("ingress", bytes, facts));
  }

  /** A question over UDP. */
  ask(name: NameField, fields: MessageFields = {}, facts: PacketFacts = { process: APP }, resolver = RESOLVER): Reason {
    return this.out(resolver, udp({ from: ASKING, to: DNS }, question(name, fields)), facts);
  }

  /** The answer to it. */
  reply(name: NameField, answers: number[][], fields: AnswerFields = {}, resolver = RESOLVER): Reason {
    return this.in(resolver, udp({ from: DNS, to: ASKING }, answer(name, answers, fields)));
  }
}

/** A frame as the host sends it to the workload. */
export function incoming(packet: number[]): Buffer {
  return frame(packet, { source: HOST_MAC, destination: WORKLOAD_MAC });
}

function ownAddress(peer: string): string {
  return peer.includes(":") ? OWN6 : OWN;
}

/** The reason, with the verdict checked as enforcement has it. */
function enforced(outcome: Outcome | null): Reason {
  assert.ok(outcome !== null, "the packet was not judged");
  assert.equal(outcome.verdict, outcome.reason === "Allowed" ? "allowed" : "dropped");
  return outcome.reason;
}
