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
import { type Event, EventType, PATH_ID_MODIFIED, ProcessFlag, Reason } from "../../gen/abi.gen.ts";
import { addressText, hostOrder } from "./addresses.ts";
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
  [EventType.VERDICT, "verdict"],
  [EventType.DNS, "dns"],
  [EventType.LISTEN, "listen"],
]);

/** The event of a record; null for a record of a type that is not known. */
export function verdictEvent(record: Event, directory: Directory): VerdictEvent | null {
  const type = TYPES.get(record.type);
  if (type === undefined) return null;
  const direction = DIRECTIONS[record.direction] ?? "egress";
  const local = endpoint(record.local, record.localPort, record);
  const remote = endpoint(record.remote, record.remotePort, record);
  const name = record.nameHash === 0n ? null : directory.name(record.workloadId, record.nameHash);
  if (name !== null) remote.name = name;
  const application = applicationName(record.application);
  const dns = dnsPart(record);
  return {
    time: directory.eventTime(record.time).toISOString(),
    type,
    verdict: VERDICTS[record.verdict] ?? "dropped",
    reason: REASONS[record.reason] ?? "Malformed",
    direction,
    workload: directory.workload(record.workloadId) ?? unknownWorkload(record.workloadId),
    profiles: profilesBehind(directory.table(record.tableId), record),
    process: processReference(record, directory),
    proto: protocolName(record.ethertype, record.protocol),
    src: direction === "egress" ? local : remote,
    dst: direction === "egress" ? remote : local,
    ...(application === null ? {} : { application }),
    ...(dns === null ? {} : { dns }),
    ...(record.reason === Reason.DNS_MALFORMED ? { malformed: malformedPart(record) } : {}),
    count: Number(record.count),
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

function processReference(record: Event, directory: Directory): ProcessReference | null {
  const { actor } = record;
  if (actor.tgid === 0) return null;
  const path = directory.path(actor.pathId & PATH_ID_MASK);
  const script = directory.path(actor.scriptId);
  const parentPath = directory.path(record.parentPathId & PATH_ID_MASK);
  const container = record.containerId === 0 ? null : directory.container(record.workloadId, record.containerId);
  const isKnown = actor.startTime !== 0n;
  return {
    ...(isKnown ? { key: `${directory.bootId}/${actor.tgid}/${actor.startTime}` } : {}),
    pid: actor.tgid,
    ...(path === null ? {} : { path }),
    ...(script === null ? {} : { script }),
    comm: record.comm,
    ...(isKnown ? { startTime: directory.startTime(actor.startTime).toISOString() } : {}),
    ...((actor.flags & (ProcessFlag.MODIFIED | ProcessFlag.DELETED)) !== 0 ? { modified: true } : {}),
    ...(container === null ? {} : { container }),
    ...(record.parentTgid === 0
      ? {}
      : { parent: { pid: record.parentTgid, ...(parentPath === null ? {} : { path: parentPath }) } }),
  };
}

function endpoint(address: Uint8Array, port: number, record: Event): Endpoint {
  const withPort = IP_ETHERTYPES.has(record.ethertype) && hasPorts(record.protocol);
  return { ip: addressText(address), ...(withPort ? { port: hostOrder(port) } : {}) };
}

function dnsPart(record: Event): DnsPart | null {
  if (record.dnsNameLength === 0) return null;
  return {
    name: nameFromReversed(record.dnsName.slice(0, record.dnsNameLength)),
    type: dnsTypeName(record.dnsType),
    ...(record.dnsResponse === 0 ? {} : { rcode: dnsRcodeName(record.dnsRcode) }),
    ...(record.dnsOpcode === 0 ? {} : { opcode: dnsOpcodeName(record.dnsOpcode) }),
  };
}

function malformedPart({ dnsFault, dnsOffset }: Event): DnsMalformedPart {
  return { fault: DNS_FAULTS[dnsFault] ?? "none", offset: dnsOffset };
}

const APPLICATIONS = ["dns", "http", "tls"];

function applicationName(application: number): string | null {
  return APPLICATIONS[application] ?? null;
}

function unknownWorkload(id: number): WorkloadReference {
  return { name: `workload-${id}`, namespace: "", labels: {} };
}
