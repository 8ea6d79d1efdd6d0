/**
 * Who receives a packet that has been let in, in the reference evaluator (docs/verdicts.md). The flow was judged by one
 * socket; who gets the packet may be another one, each member of a group, or a raw socket that listens along.
 */

import type { Direction, Reason, Verdict } from "../../api/reasons.ts";
import { effectOf } from "../../api/types.ts";
import type { IpPacket } from "../packet/packet.ts";
import type { RuleTable } from "../table/tables.ts";
import { recognizeApplication } from "./applications.ts";
import { judgeOwnersApplication } from "./evaluate-flow.ts";
import { flowKeyOf, servicePort, tupleOf } from "./flows.ts";
import { judgeLayers, reportedReason, rightsOf } from "./rights.ts";
import { ownersOf, type Socket } from "./sockets.ts";
import { type EvaluatorState, type Flow, learnerKey, type Rights } from "./state.ts";

/** What a packet may be refused for where it is received. */
export interface Receipt {
  reason: Reason;
  verdict: Verdict;
}

/**
 * Judges the receipt of a packet by one socket.
 * @param time as for `evaluate`
 * @returns what is counted of it; null for what goes without saying
 */
export function evaluateReceiver(
  state: EvaluatorState,
  table: RuleTable,
  packet: IpPacket,
  receiver: Socket,
  time: number,
): Receipt | null {
  if (state.policyState !== "restricted" || effectOf(table.actions) === "learning") return null;
  const reason = judgeReceipt(state, table, packet, receiver, time);
  if (reason === "Allowed") return null;
  if (table.actions.includes("enforce")) return { reason, verdict: "dropped" };
  return { reason, verdict: table.actions.includes("alert") ? "alerted" : "counted" };
}

function judgeReceipt(
  state: EvaluatorState,
  table: RuleTable,
  packet: IpPacket,
  receiver: Socket,
  time: number,
): Reason {
  const flow = state.flows.get(flowKeyOf(tupleOf(packet, "ingress")));
  if (flow !== undefined && haveFlow(table, receiver, flow)) return "Allowed";
  const judge = (direction: Direction) => judgeOwners(state, table, packet, receiver, direction, time);
  if (receiver.kind === "raw") {
    // It may be an answer to what its owner has sent.
    const { reason } = judge("ingress");
    return reason !== "Allowed" && judge("egress").reason === "Allowed" ? "Allowed" : reason;
  }
  if (flow !== undefined) return judgeTakeover(table, flow, judge(flow.direction));
  // What is not for the workload alone is for a group, or for everybody on the link.
  if (state.addresses.has(packet.destination)) return "Allowed";
  const member = judge("ingress");
  if (member.reason !== "Allowed" || packet.payload.length === 0) return member.reason;
  const application = recognizeApplication(packet.payload, "other", false) ?? "none";
  return application === "preface" ? "Allowed" : judgeOwnersApplication(table, member.rights, application);
}

/** Whether all subjects of the receiving socket have the flow anyway. */
function haveFlow(table: RuleTable, receiver: Socket, flow: Flow): boolean {
  const had = new Set(flow.rights.map(learnerKey));
  return ownersOf(receiver).every((owner) => had.has(learnerKey(rightsOf(table, owner, flow.direction))));
}

/** By the receiver's own rights, as if the flow were his; its application is known. */
function judgeTakeover(table: RuleTable, flow: Flow, found: { reason: Reason; rights: Rights[] }): Reason {
  if (found.reason !== "Allowed" || flow.isDns || flow.awaitsPayload || flow.application === "undecided")
    return found.reason;
  return judgeOwnersApplication(table, found.rights, flow.application);
}

function judgeOwners(
  state: EvaluatorState,
  table: RuleTable,
  packet: IpPacket,
  receiver: Socket,
  direction: Direction,
  time: number,
): { reason: Reason; rights: Rights[] } {
  const { family, protocol } = packet;
  const tuple = tupleOf(packet, "ingress");
  const destination = { family, protocol, remote: tuple.remote, port: servicePort(tuple, direction) };
  const rights = ownersOf(receiver).map((owner) => rightsOf(table, owner, direction));
  for (const each of rights) {
    const reason = reportedReason(table, each, judgeLayers(state, each, destination, time, direction));
    if (reason !== "Allowed") return { reason, rights };
  }
  return { reason: "Allowed", rights };
}
