/** Kernel records -> events: numbers become names. */
import { DIRECTIONS, DNS_FAULTS, REASONS, VERDICTS } from "../../api/reasons.ts";
import { dnsOpcodeName, dnsRcodeName, dnsTypeName, hasPorts, protocolName } from "../../flow/protocols.ts";
import type {
  DnsMalformedPart,
  DnsPart,
  Endpoint,
  ProcessReference,
  VerdictEvent,
  WorkloadReference,
} from "../../flow/record.ts";
import {
  PATH_ID_MODIFIED,
  ProcessFlag,
  Reason,
  type RecordMessage,
  type RecordPacket,
  RecordType,
} from "../../gen/abi.gen.ts";
import { addressText, hostOrder } from "./addresses.ts";
import type { KernelRecord } from "./kernel-records.ts";
import { nameFromReversed } from "./names.ts";
import type { TableOrigins } from "./table-origins.ts";

/** What the numbers in a record stand for; each answer is null where it is not known (any more). */
export interface Directory {
  workload(id: number): WorkloadReference | null;
  table(id: number): TableOrigins | null;
  path(id: number): string | null;
  /** A learned or asked name by its hash. */
  name(workloadId: number, hash: bigint): string | null;
  container(workloadId: number, containerId: number): string | null;
  /** Of CLOCK_MONOTONIC nanoseconds. */
  eventTime(monotonic: bigint): Date;
  /** Of nanoseconds since boot, as process start times are. */
  startTime(sinceBoot: bigint): Date;
  /** Tells this boot of the machine from every other. */
  readonly bootId: string;
}

const PATH_ID_MASK = PATH_ID_MODIFIED - 1;
const IP_ETHERTYPES = new Set([0x0800, 0x86dd]);

const TYPES: ReadonlyMap<number, VerdictEvent["type"]> = new Map([
  [RecordType.VERDICT, "verdict"],
  [RecordType.MESSAGE_VERDICT, "verdict"],
  [RecordType.DNS, "dns"],
  [RecordType.LISTEN, "listen"],
]);

/** The event of a record; null for a record of a type that is not known. */
export function verdictEvent(record: KernelRecord, directory: Directory): VerdictEvent | null {
  const { header, packet, message } = record;
  const type = TYPES.get(header.type);
  if (type === undefined) return null;
  const direction = DIRECTIONS[packet.direction] ?? "egress";
  const local = endpoint(packet.local, packet.localPort, packet);
  const remote = endpoint(packet.remote, packet.remotePort, packet);
  const name = packet.nameHash === 0n ? null : directory.name(header.workloadId, packet.nameHash);
  if (name !== null) remote.name = name;
  const application = applicationName(packet.application);
  const dns = message === null ? null : dnsPart(message);
  return {
    time: directory.eventTime(header.time).toISOString(),
    type,
    verdict: VERDICTS[packet.verdict] ?? "dropped",
    reason: REASONS[packet.reason] ?? "Malformed",
    direction,
    workload: directory.workload(header.workloadId) ?? unknownWorkload(header.workloadId),
    profiles: profilesBehind(directory.table(header.tableId), { ...packet, binaryId: record.process.binaryId }),
    process: processReference(record, directory),
    proto: protocolName(packet.ethertype, packet.protocol),
    src: direction === "egress" ? local : remote,
    dst: direction === "egress" ? remote : local,
    ...(application === null ? {} : { application }),
    ...(dns === null ? {} : { dns }),
    ...(packet.reason === Reason.DNS_MALFORMED && message !== null ? { malformed: malformedPart(message) } : {}),
    count: Number(header.count),
  };
}

/**
 * `namespace/name` of the profiles whose blocks allowed a packet; for a violation those that have a say about its
 * process in that direction, or about the process at all, or (a process that none lists) all of the workload's.
 */
export function profilesBehind(
  table: TableOrigins | null,
  { binaryId, direction, mask }: { binaryId: number; direction: number; mask: bigint },
): string[] {
  if (table === null) return [];
  const rules = binaryId === 0 ? table.default : table.binaries[binaryId - 1];
  if (rules === null || rules === undefined) return [...table.profiles];
  const side = DIRECTIONS[direction] ?? "egress";
  const allowing = rules[side].blocks.filter((_, index) => (mask >> BigInt(index)) & 1n);
  const candidates = [allowing, rules[side].blocks, [...rules.egress.blocks, ...rules.ingress.blocks]];
  const blocks = candidates.find((list) => list.length > 0);
  return blocks === undefined ? [...table.profiles] : [...new Set(blocks.map((block) => block.profile))].sort();
}

function processReference({ header, process }: KernelRecord, directory: Directory): ProcessReference | null {
  const { actor, containerId, parentTgid, parentPathId } = process;
  if (actor.tgid === 0) return null;
  const path = directory.path(actor.pathId & PATH_ID_MASK);
  const script = directory.path(actor.scriptId);
  const parentPath = directory.path(parentPathId & PATH_ID_MASK);
  const container = containerId === 0 ? null : directory.container(header.workloadId, containerId);
  const isKnown = actor.startTime !== 0n;
  return {
    ...(isKnown ? { key: `${directory.bootId}/${actor.tgid}/${actor.startTime}` } : {}),
    pid: actor.tgid,
    ...(path === null ? {} : { path }),
    ...(script === null ? {} : { script }),
    comm: process.comm,
    ...(isKnown ? { startTime: directory.startTime(actor.startTime).toISOString() } : {}),
    ...((actor.flags & (ProcessFlag.MODIFIED | ProcessFlag.DELETED)) !== 0 ? { modified: true } : {}),
    ...(container === null ? {} : { container }),
    ...(parentTgid === 0 ? {} : { parent: { pid: parentTgid, ...(parentPath === null ? {} : { path: parentPath }) } }),
  };
}

function endpoint(address: Uint8Array, port: number, { ethertype, protocol }: RecordPacket): Endpoint {
  const withPort = IP_ETHERTYPES.has(ethertype) && hasPorts(protocol);
  return { ip: addressText(address), ...(withPort ? { port: hostOrder(port) } : {}) };
}

function dnsPart({ name, nameLength, type, isResponse, rcode, opcode }: RecordMessage): DnsPart | null {
  if (nameLength === 0) return null;
  return {
    name: nameFromReversed(name.slice(0, nameLength)),
    type: dnsTypeName(type),
    ...(isResponse === 0 ? {} : { rcode: dnsRcodeName(rcode) }),
    ...(opcode === 0 ? {} : { opcode: dnsOpcodeName(opcode) }),
  };
}

function malformedPart({ fault, offset }: RecordMessage): DnsMalformedPart {
  return { fault: DNS_FAULTS[fault] ?? "none", offset };
}

const APPLICATIONS = ["dns", "http", "tls"];

export function applicationName(application: number): string | null {
  return APPLICATIONS[application] ?? null;
}

export function unknownWorkload(id: number): WorkloadReference {
  return { name: `workload-${id}`, namespace: "", labels: {} };
}
