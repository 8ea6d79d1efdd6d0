/** Errors of finding, watching and making workloads. */
import { PortcullisError } from "../../api/errors.ts";

export type WorkloadErrorCode =
  | "PC_NETNS_ARGUMENT"
  | "PC_NETNS_ABSENT"
  | "PC_NETNS_HOST"
  | "PC_NETNS_UNREADABLE"
  | "PC_NETNS_WITHOUT_VETH"
  | "PC_POD_STARTING"
  | "PC_POD_HOST_NETWORK"
  | "PC_INTERFACE_UNGUARDED"
  | "PC_RESOLV_CONF"
  | "PC_NETLINK"
  | "PC_RUN_SETUP"
  | "PC_RUN_COMMAND"
  | "PC_RUN_ADDRESS_RANGE"
  | "PC_RUN_NFT_MISSING"
  | "PC_RUN_NFT_REFUSED"
  | "PC_RUN_NO_RESOLVER"
  | "PC_RUN_FIREWALL";

/** Some of what leaves the workload is not seen: whatever holds for it holds in part. */
export const UNGUARDED: WorkloadErrorCode = "PC_INTERFACE_UNGUARDED";

/** A network namespace, or something in it, is not as guarding it needs. */
export class WorkloadError extends PortcullisError {
  constructor(code: WorkloadErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
