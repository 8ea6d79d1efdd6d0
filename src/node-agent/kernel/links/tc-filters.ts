/** The TC filters on an interface, the agent's and others': RTM_GETTFILTER (linux/rtnetlink.h, linux/pkt_sched.h). */
import type { TcHook } from "../../ffi/traffic-control.ts";
import { TC_HOOK } from "../../ffi/traffic-control.ts";
import { RouteConnection } from "../../netlink/connection.ts";
import { attributeInteger, attributeText, decodeAttributes } from "../../netlink/message.ts";

export interface TcFilter {
  /** Lower ones see packets first. */
  priority: number;
  /** ETH_P_..., host order. */
  protocol: number;
  /** `bpf`, `u32`, `matchall`, ... */
  kind: string;
  /** 0 for the group that filters of one priority make up; its members have their own. */
  handle: number;
  /** Of BPF filters. */
  programId: number | null;
}

const RTM_GETTFILTER = 46;
/** TC_H_CLSACT with TC_H_MIN_INGRESS and TC_H_MIN_EGRESS. */
const PARENT = { [TC_HOOK.INGRESS]: 0xfffffff2, [TC_HOOK.EGRESS]: 0xfffffff3 } as const;
/** struct tcmsg: family at 0, ifindex at 4, handle at 8, parent at 12, info (priority, protocol) at 16. */
const TCMSG_SIZE = 20;
const TCA_KIND = 1;
const TCA_OPTIONS = 2;
const TCA_BPF_ID = 11;

/** All filters at one hook of an interface; none if it has no clsact. */
export function listFilters(ifindex: number, hook: TcHook): TcFilter[] {
  const request = Buffer.alloc(TCMSG_SIZE);
  request.writeInt32LE(ifindex, 4);
  request.writeUInt32LE(PARENT[hook], 12);
  using connection = new RouteConnection();
  return connection.dump(RTM_GETTFILTER, [request], `filters of interface ${ifindex}`).map(decodeFilter);
}

function decodeFilter(message: Buffer): TcFilter {
  const attributes = decodeAttributes(message, TCMSG_SIZE);
  const options = attributes.get(TCA_OPTIONS);
  return {
    handle: message.readUInt32LE(8),
    priority: message.readUInt16LE(18),
    protocol: message.readUInt16BE(16),
    kind: attributeText(attributes.get(TCA_KIND)) ?? "",
    programId: options === undefined ? null : attributeInteger(decodeAttributes(options).get(TCA_BPF_ID)),
  };
}
