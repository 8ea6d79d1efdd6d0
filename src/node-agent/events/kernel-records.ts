/** Records of packets as the kernel writes them (bpf/include/abi/records.h): which ring buffer has which, and what is in them. */
import type { RecordKind } from "../../flow/record.ts";
import {
  ErrorKind,
  MessageRecord,
  RecordHeader,
  type RecordMessage,
  RecordType,
  VerdictRecord,
} from "../../gen/abi.gen.ts";

export interface RecordRing {
  kind: RecordKind;
  /** Name of the ring buffer's pin. */
  pin: string;
  /** Under which the kernel counts those that did not fit. */
  lost: number;
}

/** Those of packets. */
export const PACKET_RINGS: readonly RecordRing[] = [
  { kind: "violation", pin: "violation_records", lost: ErrorKind.VIOLATION_RECORDS_LOST },
  { kind: "allowed", pin: "allowed_records", lost: ErrorKind.ALLOWED_RECORDS_LOST },
  { kind: "dns", pin: "dns_records", lost: ErrorKind.DNS_RECORDS_LOST },
];
/** That of flows, whose records are `FlowRecord`s. */
export const FLOW_RING: RecordRing = { kind: "flow", pin: "flow_records", lost: ErrorKind.FLOW_RECORDS_LOST };
export const RECORD_RINGS: readonly RecordRing[] = [...PACKET_RINGS, FLOW_RING];

/** A packet, and the DNS message in it, if it has one that was looked at. */
export interface KernelRecord extends VerdictRecord {
  message: RecordMessage | null;
}

const WITH_MESSAGE: ReadonlySet<number> = new Set([RecordType.MESSAGE_VERDICT, RecordType.DNS]);

/** The record in these bytes, which are not needed any more when this returns. */
export function decodeRecord(bytes: Buffer): KernelRecord {
  if (!WITH_MESSAGE.has(RecordHeader.decode(bytes).type)) return { ...VerdictRecord.decode(bytes), message: null };
  const { verdict, message } = MessageRecord.decode(bytes);
  return { ...verdict, message };
}
