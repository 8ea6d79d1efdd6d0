/**
 * Network namespace ids: how one namespace calls another (<linux/net_namespace.h>). BPF's socket lookups take them,
 * and rtnetlink says with them where a veth's other end is.
 */
import { ERRNO, isKernelError } from "../ffi/errno.ts";
import type { RouteConnection } from "./connection.ts";
import { WorkloadError } from "./errors.ts";
import { attributeInteger, decodeAttributes, integerAttribute } from "./message.ts";

const RTM_NEWNSID = 88;
const RTM_GETNSID = 90;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;
/** Asks the kernel to choose; in an answer: there is none. */
const NO_ID = -1;

/** struct rtgenmsg: the family, padded. */
const HEADER = Buffer.alloc(4);

function readId(connection: RouteConnection, namespaceFd: number): number {
  const request = [HEADER, integerAttribute(NETNSA_FD, namespaceFd)];
  const answer = connection.request(RTM_GETNSID, 0, request, "the id of a network namespace");
  const id = answer === null ? null : attributeInteger(decodeAttributes(answer, HEADER.length).get(NETNSA_NSID));
  return id ?? NO_ID;
}

/**
 * The id that the connection's namespace has for the one behind `namespaceFd`; gives it one if it has none.
 *
 * @throws KernelError, WorkloadError (PC_NETLINK)
 */
export function ensureNamespaceId(connection: RouteConnection, namespaceFd: number): number {
  const known = readId(connection, namespaceFd);
  if (known !== NO_ID) return known;
  const request = [HEADER, integerAttribute(NETNSA_NSID, NO_ID), integerAttribute(NETNSA_FD, namespaceFd)];
  try {
    connection.request(RTM_NEWNSID, 0, request, "the id of a network namespace");
  } catch (error) {
    // Somebody else gave it one since.
    if (!isKernelError(error, ERRNO.EEXIST)) throw error;
  }
  const given = readId(connection, namespaceFd);
  if (given === NO_ID) throw new WorkloadError("PC_NETLINK", "the kernel gave a network namespace no id");
  return given;
}
