/**
 * The framing of netlink: messages with a 16-byte header in a datagram, attributes (length, type, payload, padded to
 * 4 bytes) in a message. Layouts: <linux/netlink.h>; all integers in host order, which is little-endian here.
 */
import { WorkloadError } from "./errors.ts";

const HEADER_LENGTH = 16;
const ATTRIBUTE_HEADER_LENGTH = 4;
/** NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;
const NESTED = 0x8000;

/** Header flags, NLM_F_*. */
export const MESSAGE_FLAG = {
  REQUEST: 0x1,
  ACK: 0x4,
  /** In an answer: the list changed while it was dumped. */
  DUMP_INTERRUPTED: 0x10,
  EXCLUSIVE: 0x200,
  DUMP: 0x300,
  CREATE: 0x400,
} as const;

/** Message types of netlink itself, NLMSG_*. */
export const MESSAGE_TYPE = { ERROR: 2, DONE: 3 } as const;

export interface NetlinkMessage {
  type: number;
  flags: number;
  sequence: number;
  payload: Buffer;
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

/** One message. `payload` is the type's fixed struct, followed by attributes; each part is already padded. */
export function encodeMessage(type: number, flags: number, sequence: number, payload: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(HEADER_LENGTH);
  const message = Buffer.concat([header, ...payload]);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  message.writeUInt32LE(sequence, 8);
  return message;
}

/** @throws WorkloadError (PC_NETLINK) where a length in the datagram cannot be. */
export function decodeMessages(datagram: Buffer): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  for (let offset = 0; offset + HEADER_LENGTH <= datagram.length; ) {
    const length = datagram.readUInt32LE(offset);
    checkLength(length, HEADER_LENGTH, datagram.length - offset);
    messages.push({
      type: datagram.readUInt16LE(offset + 4),
      flags: datagram.readUInt16LE(offset + 6),
      sequence: datagram.readUInt32LE(offset + 8),
      payload: datagram.subarray(offset + HEADER_LENGTH, offset + length),
    });
    offset += padded(length);
  }
  return messages;
}

/** One attribute, padded. */
export function attribute(type: number, payload: Buffer): Buffer {
  const result = Buffer.alloc(padded(ATTRIBUTE_HEADER_LENGTH + payload.length));
  result.writeUInt16LE(ATTRIBUTE_HEADER_LENGTH + payload.length, 0);
  result.writeUInt16LE(type, 2);
  payload.copy(result, ATTRIBUTE_HEADER_LENGTH);
  return result;
}

/** An attribute with a 32-bit integer; negative ones as two's complement. */
export function integerAttribute(type: number, value: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeInt32LE(value | 0);
  return attribute(type, payload);
}

/** An attribute with a NUL-terminated text. */
export function textAttribute(type: number, text: string): Buffer {
  return attribute(type, Buffer.from(`${text}\0`));
}

/** An attribute made of others. */
export function nestedAttribute(type: number, children: readonly Buffer[]): Buffer {
  return attribute(type | NESTED, Buffer.concat(children));
}

/**
 * The attributes from `offset` of a message's or a nested attribute's payload on, by type; of a repeated type the
 * last one.
 *
 * @throws WorkloadError (PC_NETLINK) where a length cannot be.
 */
export function decodeAttributes(payload: Buffer, offset = 0): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  for (let at = offset; at + ATTRIBUTE_HEADER_LENGTH <= payload.length; ) {
    const length = payload.readUInt16LE(at);
    checkLength(length, ATTRIBUTE_HEADER_LENGTH, payload.length - at);
    const type = payload.readUInt16LE(at + 2) & ATTRIBUTE_TYPE_MASK;
    attributes.set(type, payload.subarray(at + ATTRIBUTE_HEADER_LENGTH, at + length));
    at += padded(length);
  }
  return attributes;
}

/** Text of an attribute, without its NUL; null where the attribute is not there. */
export function attributeText(value: Buffer | undefined): string | null {
  if (value === undefined) return null;
  const end = value.indexOf(0);
  return value.toString("utf8", 0, end < 0 ? value.length : end);
}

/** Signed 32-bit value of an attribute; null where the attribute is not there, or shorter. */
export function attributeInteger(value: Buffer | undefined): number | null {
  return value !== undefined && value.length >= 4 ? value.readInt32LE(0) : null;
}

function checkLength(length: number, least: number, most: number): void {
  if (length >= least && length <= most) return;
  throw new WorkloadError(
    "PC_NETLINK",
    `the kernel sent a netlink message with a length of ${length} in ${most} bytes`,
  );
}
