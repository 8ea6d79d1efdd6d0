/** What both sides remember after a case: flows, outstanding questions, and names that addresses were learned for. */

import { REASONS } from "../../../src/api/reasons.ts";
import { effectOf } from "../../../src/api/types.ts";
import type { FlowKey, Flow as KernelFlow, Subject as KernelSubject } from "../../../src/gen/abi.gen.ts";
import { Application, FlowFlag } from "../../../src/gen/abi.gen.ts";
import { nameFromReversed } from "../../../src/node-agent/events/names.ts";
import type { EvaluatorState, Flow, Rights, StreamPosition } from "../../../src/policy/reference/state.ts";
import { formatIp } from "../../../src/policy/table/addresses.ts";
import { bytesToNumber } from "../../../src/policy/table/prefixes.ts";
import type { RuleTable } from "../../../src/policy/table/tables.ts";
import type { ClassifierHarness } from "../../harness/classifier-harness.ts";

export interface StateDifference {
  kernel: string;
  evaluator: string;
}

/** The table in force, with the number that it has in the kernel. */
export interface CurrentTable {
  rules: RuleTable;
  id: number;
}

/** By key. */
type Listing = Map<string, string>;

/** Seconds by which both clocks may differ: the kernel reads its own a little later. */
const CLOCK_TOLERANCE = 2;

/** @param skew seconds that the evaluator's clock is ahead */
export function compareStates(
  harness: ClassifierHarness,
  state: EvaluatorState,
  table: CurrentTable,
  skew: number,
): StateDifference | null {
  return (
    firstDifference("flow", kernelFlows(harness, table), evaluatorFlows(harness, state, table)) ??
    firstDifference("question", kernelQuestions(harness), evaluatorQuestions(state)) ??
    firstDifference("learned", ...learnedListings(harness, state, skew))
  );
}

function firstDifference(what: string, kernel: Listing, evaluator: Listing): StateDifference | null {
  for (const key of new Set([...kernel.keys(), ...evaluator.keys()])) {
    const [ours, theirs] = [kernel.get(key), evaluator.get(key)];
    if (ours === theirs) continue;
    return { kernel: `${what} ${key}: ${ours ?? "none"}`, evaluator: `${what} ${key}: ${theirs ?? "none"}` };
  }
  return null;
}

function kernelFlows(harness: ClassifierHarness, table: CurrentTable): Listing {
  return new Map([...harness.maps.flows.entries()].map(([key, flow]) => [kernelFlowKey(key), kernelFlow(flow, table)]));
}

/** As `flowKeyOf` of the evaluator. */
function kernelFlowKey({ protocol, local, remote, localPort, remotePort }: FlowKey): string {
  const [from, to] = [local, remote].map((address) => formatIp(bytesToNumber(address)));
  return `${protocol} ${from} ${hostOrder(localPort)} ${to} ${hostOrder(remotePort)}`;
}

const APPLICATIONS: Record<number, string> = {
  [Application.DNS]: "dns",
  [Application.HTTP]: "http",
  [Application.TLS]: "tls",
  [Application.NONE]: "none",
  [Application.UNDECIDED]: "undecided",
};

function kernelFlow(flow: KernelFlow, table: CurrentTable): string {
  const stream = (index: 0 | 1, known: number) =>
    (flow.flags & known) === 0
      ? null
      : {
          next: flow.dnsNext[index],
          length: flow.dnsLength[index],
          held: flow.dnsHeld[index],
          hasAhead: flow.dnsAhead[index] !== 0,
        };
  const isCurrent = flow.tableId === table.id;
  const withMask = isCurrent && flow.reason === 0 && effectOf(table.rules.actions) !== "learning";
  const subject = ({ pathId, binaryId, mask }: KernelSubject) => ({
    pathId,
    binaryId,
    ...(withMask && { mask: `${mask}` }),
  });
  return flowText({
    isCurrent,
    direction: flow.direction === 0 ? "egress" : "ingress",
    reason: REASONS[flow.reason],
    isDns: (flow.flags & FlowFlag.DNS) !== 0,
    awaitsPayload: (flow.flags & FlowFlag.L7_PENDING) !== 0,
    application: APPLICATIONS[flow.application],
    ended: [(flow.flags & FlowFlag.ENDED_EGRESS) !== 0, (flow.flags & FlowFlag.ENDED_INGRESS) !== 0],
    preface: (flow.flags & FlowFlag.PREFACED) === 0 ? null : flow.dnsNext,
    hasSocket: (flow.flags & FlowFlag.COOKIE_KNOWN) !== 0,
    subjects: flow.subjects.slice(0, flow.subjectCount).map(subject),
    egress: stream(0, FlowFlag.DNS_SEQUENCE_EGRESS),
    ingress: stream(1, FlowFlag.DNS_SEQUENCE_INGRESS),
  });
}

function evaluatorFlows(harness: ClassifierHarness, state: EvaluatorState, table: CurrentTable): Listing {
  return new Map([...state.flows].map(([key, flow]) => [key, evaluatorFlow(harness, flow, table)]));
}

function evaluatorFlow(harness: ClassifierHarness, flow: Flow, table: CurrentTable): string {
  const isCurrent = flow.tableHash === table.rules.hash;
  const withMask = isCurrent && flow.reason === "Allowed" && effectOf(table.rules.actions) !== "learning";
  const pathId = ({ path, subject }: Rights) =>
    path === null ? 0 : harness.pathId({ path, modified: subject?.modified ?? false });
  return flowText({
    isCurrent,
    direction: flow.direction,
    reason: flow.reason,
    isDns: flow.isDns,
    awaitsPayload: flow.awaitsPayload,
    application: flow.application,
    ended: [flow.ended.egress, flow.ended.ingress],
    preface: flow.preface && [flow.preface.egress, flow.preface.ingress],
    hasSocket: flow.socket !== null,
    subjects: flow.rights.map((rights) => ({
      pathId: pathId(rights),
      binaryId: rights.binaryId,
      ...(withMask && { mask: `${maskText(rights)}` }),
    })),
    egress: streamText(flow.dnsStream.egress),
    ingress: streamText(flow.dnsStream.ingress),
  });
}

function streamText(position: StreamPosition | null): Record<string, number | boolean> | null {
  return (
    position && {
      next: position.next,
      length: position.length,
      held: position.held.length,
      hasAhead: position.ahead !== null,
    }
  );
}

/** Where no layer was asked, the kernel's mask has all its bits: neighbour discovery without a `default`. */
function maskText({ ruleset, mask }: Rights): bigint {
  return ruleset.hash === "" ? 0xffff_ffff_ffff_ffffn : mask;
}

function flowText(flow: Record<string, unknown>): string {
  return JSON.stringify(flow);
}

function kernelQuestions(harness: ClassifierHarness): Listing {
  return new Map(
    [...harness.maps.dnsQueries.entries()].map(([{ flow, id }, { type }]) => [
      `${kernelFlowKey(flow)} ${hostOrder(id)}`,
      `type ${type}`,
    ]),
  );
}

function evaluatorQuestions(state: EvaluatorState): Listing {
  return new Map([...state.queries].map(([key, { type }]) => [key, `type ${type}`]));
}

function nameTexts(harness: ClassifierHarness): Map<bigint, string> {
  return new Map(
    [...harness.maps.dnsNames.entries()].map(([{ hash }, { text, length }]) => {
      return [hash, nameFromReversed(text.subarray(0, length))];
    }),
  );
}

function learnedListings(harness: ClassifierHarness, state: EvaluatorState, skew: number): [Listing, Listing] {
  const texts = nameTexts(harness);
  const kernel: Map<string, Map<string, number>> = new Map();
  for (const [key, { names }] of harness.maps.learned.entries()) {
    const learner = `${key.pathId} ${key.containerId} ${formatIp(bytesToNumber(key.address))}`;
    const known = names.filter(({ expires }) => expires !== 0n);
    kernel.set(
      learner,
      new Map(known.map(({ hash, expires }) => [texts.get(hash) ?? `hash ${hash}`, Number(expires) / 1e9 + skew])),
    );
  }
  const evaluator: Map<string, Map<string, number>> = new Map();
  for (const [key, names] of state.learned) {
    evaluator.set(kernelLearner(harness, key), new Map(names.map(({ name, expires }) => [name, expires])));
  }
  return [learnedListing(kernel, kernel), learnedListing(evaluator, kernel)];
}

/** `path modified container address` of the evaluator with the kernel's numbers. */
function kernelLearner(harness: ClassifierHarness, key: string): string {
  const [path, modified, container, address] = key.split(" ") as [string, string, string, string];
  const pathId = path === "" ? 0 : harness.pathId({ path, modified: modified === "true" });
  return `${pathId} ${harness.containerIds.of(container === "" ? null : container)} ${address}`;
}

/** Times that are as good as the kernel's are written like the kernel's. */
function learnedListing(listing: Map<string, Map<string, number>>, kernel: Map<string, Map<string, number>>): Listing {
  return new Map(
    [...listing].map(([learner, names]) => {
      const entries = [...names].map(([name, expires]) => {
        const other = kernel.get(learner)?.get(name) ?? expires;
        const isSame = Math.abs(other - expires) < CLOCK_TOLERANCE;
        return `${name} until ${Math.round(isSame ? other : expires)}`;
      });
      return [learner, entries.sort().join(", ")];
    }),
  );
}

function hostOrder(port: number): number {
  return ((port & 0xff) << 8) | (port >> 8);
}
