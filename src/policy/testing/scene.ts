/** Scenes for tests of the evaluator: a workload, its profiles, and packets that come and go. */
import type { Direction, Reason } from "../../api/reasons.ts";
import type { SecurityProfile } from "../../api/types.ts";
import { compileTable } from "../compile/compile.ts";
import { parsePacket } from "../packet/packet-parser.ts";
import { evaluate, type Judgement, type PacketContext } from "../reference/evaluate.ts";
import { createState, type PolicyState } from "../reference/state.ts";
import { parseIp } from "../table/addresses.ts";
import { NO_ANCESTRY, type Subject } from "../table/subject.ts";
import { ipv4, OWN_MAC_TEXT, tcp, text } from "./frames.ts";

export const OWN = "10.0.0.1";
export const OWN6 = "2001:db8::1";
export const PEER = "10.0.0.2";
export const STRANGER = "192.0.2.9";

export const SYN = 0x02;
export const SYN_ACK = 0x12;
export const ACK = 0x18;

export const APP: Subject = {
  path: "/bin/app",
  script: null,
  container: null,
  ephemeral: false,
  modified: false,
  ancestry: NO_ANCESTRY,
  user: 0,
};
export const SHELL: Subject = { ...APP, path: "/bin/sh" };

/** One workload and the profiles that select it. */
export class Scene {
  table;
  readonly state;
  time = 0;

  constructor(profiles: SecurityProfile[], policyState: PolicyState = "restricted") {
    this.table = compileTable(profiles, { searchDomains: [] });
    const addresses = [OWN, OWN6].map((address) => parseIp(address) as bigint);
    this.state = createState({ addresses, macs: [OWN_MAC_TEXT], policyState });
  }

  sends(frame: Uint8Array, who: Subject | Subject[] | null = APP, more: Partial<PacketContext> = {}): Judgement {
    return this.#judge("egress", frame, who, more);
  }

  receives(frame: Uint8Array, who: Subject | Subject[] | null = APP, more: Partial<PacketContext> = {}): Judgement {
    return this.#judge("ingress", frame, who, more);
  }

  #judge(
    direction: Direction,
    frame: Uint8Array,
    who: Subject | Subject[] | null,
    more: Partial<PacketContext>,
  ): Judgement {
    const subjects = who === null ? [] : Array.isArray(who) ? who : [who];
    return evaluate(this.state, this.table, parsePacket(frame), { direction, subjects, ...more }, this.time);
  }
}

/** TCP from the workload to a peer's port. */
export const to = (peer: string, port: number, flags = SYN, payload = "", from = 4000) =>
  ipv4(OWN, peer, 6, tcp(from, port, flags, text(payload)));

/** TCP from a peer's port to the workload. */
export const back = (peer: string, port: number, flags = SYN_ACK, payload = "", local = 4000) =>
  ipv4(peer, OWN, 6, tcp(port, local, flags, text(payload)));

export function reason(judgement: Judgement): Reason {
  return judgement.reason;
}
