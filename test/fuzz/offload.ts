/** What a packet socket says of the offload that its frame wants: struct virtio_net_hdr, linux/virtio_net.h. */
import { PROTOCOL } from "../packets/transport.ts";

const LENGTH = 10;
const ETHERNET = 14;
const NEEDS_CHECKSUM = 1;
const TYPE = { tcp4: 1, tcp6: 4, udp: 5 } as const;
const CHECKSUM_AT = { tcp: 16, udp: 6 } as const;
const TCP_HEADER = 20;
const UDP_HEADER = 8;

/** @param size bytes of payload in each piece; none: it is sent as it is */
export function offloadHeader(frame: Uint8Array, size: number | undefined): Buffer {
  const header = Buffer.alloc(LENGTH);
  if (size === undefined) return header;
  const isIpv6 = (frame[ETHERNET] ?? 0) >> 4 === 6;
  const transport = ETHERNET + (isIpv6 ? 40 : 20);
  const isTcp = frame[isIpv6 ? ETHERNET + 6 : ETHERNET + 9] === PROTOCOL.tcp;
  header[0] = NEEDS_CHECKSUM;
  header[1] = isTcp ? (isIpv6 ? TYPE.tcp6 : TYPE.tcp4) : TYPE.udp;
  header.writeUInt16LE(transport + (isTcp ? TCP_HEADER : UDP_HEADER), 2);
  header.writeUInt16LE(size, 4);
  header.writeUInt16LE(transport, 6);
  header.writeUInt16LE(isTcp ? CHECKSUM_AT.tcp : CHECKSUM_AT.udp, 8);
  return header;
}
