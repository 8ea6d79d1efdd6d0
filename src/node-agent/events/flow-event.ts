/** A flow's entry in the kernel -> its event: numbers become names. */
import { hash } from "node:crypto";
import { DIRECTIONS, REASONS, type Verdict } from "../../api/reasons.ts";
import { hasPorts, protocolName } from "../../flow/protocols.ts";
import type { Endpoint, FlowEnd, FlowEvent, ProcessReference, ResponseFigures } from "../../flow/record.ts";
import {
  Direction,
  type Flow,
  FlowFlag,
  type FlowKey,
  FlowKey as FlowKeyCodec,
  type FlowResponse,
  PATH_ID_MODIFIED,
} from "../../gen/abi.gen.ts";
import { addressText, hostOrder } from "./addresses.ts";
import { applicationName, type Directory, profilesBehind, unknownWorkload } from "./enrich.ts";
import { tcpFigures } from "./tcp-figures.ts";

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** RFC 9293, 3.1, and RFC 3168: from the lowest bit of the header's byte on. */
const TCP = 6;
const TCP_FLAGS = "FSRPAUEC";
const RESET = 4;
/** include/net/tcp_states.h */
const SYN_SENT = 2;

/** @param end why nothing more is counted; null: it goes on */
export function flowEvent(key: FlowKey, flow: Flow, end: FlowEnd | null, directory: Directory): FlowEvent {
  const [sent, received] = [flow.counts[Direction.EGRESS], flow.counts[Direction.INGRESS]];
  const direction = DIRECTIONS[flow.direction] ?? "egress";
  const local = endpoint(key.local, key.localPort, key.protocol);
  const remote = endpoint(key.remote, key.remotePort, key.protocol);
  const name = flow.nameHash === 0n ? null : directory.name(key.workloadId, flow.nameHash);
  if (name !== null) remote.name = name;
  const application = applicationName(flow.application);
  const [subject] = flow.subjects;
  const duration = since(flow.began, flow.counted);
  const payload = firstPayload(flow);
  const tcp = key.protocol === TCP ? tcpFigures(flow.tcp) : null;
  return {
    time: directory.eventTime(flow.began + duration).toISOString(),
    type: "flow",
    state: end === null ? "update" : "end",
    ...(end === null ? {} : { end }),
    id: flowId(key, flow, directory.bootId),
    start: directory.eventTime(flow.began).toISOString(),
    durationNs: Number(duration),
    verdict: verdictOf(flow, directory),
    reason: REASONS[flow.reason] ?? "Malformed",
    direction,
    workload: directory.workload(key.workloadId) ?? unknownWorkload(key.workloadId),
    profiles: profilesBehind(directory.table(flow.tableId), {
      ...{ binaryId: subject.binaryId, direction: flow.direction },
      mask: flow.reason === 0 ? subject.mask : 0n,
    }),
    process: processOf(key, flow, directory),
    proto: protocolName(remote.ip.includes(":") ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4, key.protocol),
    src: direction === "egress" ? local : remote,
    dst: direction === "egress" ? remote : local,
    ...(application === null ? {} : { application }),
    packets: { sent: Number(sent.packets), received: Number(received.packets) },
    bytes: { sent: Number(sent.bytes), received: Number(received.bytes) },
    ...(payload === null ? {} : { firstPayloadNs: payload }),
    ...(key.protocol === TCP
      ? { tcpFlags: { sent: flagsText(sent.tcpFlags), received: flagsText(received.tcpFlags) } }
      : {}),
    ...(tcp === null ? {} : { tcp }),
    ...(flow.response.count === 0 ? {} : { response: responseFigures(flow.response) }),
  };
}

function responseFigures({ count, sum, longest, histogram }: FlowResponse): ResponseFigures {
  const used = histogram.findLastIndex((answers) => answers > 0) + 1;
  return { count, firstByteNs: { sum: Number(sum), max: Number(longest) }, histogram: histogram.slice(0, used) };
}

/** The boot, the moment and the key together are one flow's alone. */
export function flowId(key: FlowKey, { began }: Flow, bootId: string): string {
  const bytes = FlowKeyCodec.encode(key).toString("hex");
  return hash("sha1", `${bootId}/${began}/${bytes}`, "base64url");
}

/** Both sides of a TCP connection are done, one has reset it, or its socket is closed; null: it goes on. */
export function tcpEnd({ flags, counts, tcp }: Flow): FlowEnd | null {
  if (tcp.closedFrom === SYN_SENT) return "failed";
  if (tcp.closedFrom !== 0) return tcpFigures(tcp)?.resetBy === undefined ? "closed" : "reset";
  if ((flags & FlowFlag.ENDED_EGRESS) === 0 || (flags & FlowFlag.ENDED_INGRESS) === 0) return null;
  return counts.some(({ tcpFlags }) => (tcpFlags & RESET) !== 0) ? "reset" : "closed";
}

/** What enforcement refuses has no flow, but for a payload that it refused within one. */
function verdictOf({ reason, tableId }: Flow, directory: Directory): Verdict {
  if (reason === 0) return "allowed";
  const actions = directory.table(tableId)?.actions ?? [];
  if (actions.includes("enforce")) return "dropped";
  return actions.includes("alert") ? "alerted" : "counted";
}

function processOf({ workloadId }: FlowKey, flow: Flow, directory: Directory): ProcessReference | null {
  const { tgid: pid, startTime } = flow;
  if (pid === 0) return null;
  const { pathId, containerId } = flow.subjects[0];
  const path = directory.path(pathId & (PATH_ID_MODIFIED - 1));
  const container = containerId === 0 ? null : directory.container(workloadId, containerId);
  return {
    ...(startTime === 0n ? {} : { key: `${directory.bootId}/${pid}/${startTime}` }),
    pid,
    ...(path === null ? {} : { path }),
    ...(startTime === 0n ? {} : { startTime: directory.startTime(startTime).toISOString() }),
    ...(pathId >= PATH_ID_MODIFIED ? { modified: true } : {}),
    ...(container === null ? {} : { container }),
  };
}

function endpoint(address: Uint8Array, port: number, protocol: number): Endpoint {
  return { ip: addressText(address), ...(hasPorts(protocol) ? { port: hostOrder(port) } : {}) };
}

function firstPayload({ began, counts }: Flow): NonNullable<FlowEvent["firstPayloadNs"]> | null {
  const [sent, received] = [counts[Direction.EGRESS].firstPayload, counts[Direction.INGRESS].firstPayload];
  if (sent === 0n && received === 0n) return null;
  return {
    ...(sent === 0n ? {} : { sent: Number(since(began, sent)) }),
    ...(received === 0n ? {} : { received: Number(since(began, received)) }),
  };
}

/** The coarse clock may be behind the one that a flow's beginning is read from. */
function since(began: bigint, moment: bigint): bigint {
  return moment > began ? moment - began : 0n;
}

function flagsText(flags: number): string {
  return [...TCP_FLAGS].filter((_, bit) => ((flags >> bit) & 1) === 1).join("");
}
