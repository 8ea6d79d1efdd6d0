/** Which ends of edges somebody means: a workload, a name, an address or a block of them, or a port. */
import ipaddr from "ipaddr.js";
import { UsageError } from "../../api/errors.ts";
import { namePattern } from "../filters/pattern.ts";
import type { Edge, EdgeEnd, EdgeWorkload } from "./edge.ts";

export type ServerTest = (edge: Pick<Edge, "server" | "port" | "proto">) => boolean;

const PORT = /^:?(\d{1,5})(?:\/(tcp|udp|sctp))?$/;

/**
 * @param text `shop/db` or `db`, a name with `*` for any text, `10.0.0.0/8`, `443`, `53/udp`
 * @throws UsageError
 */
export function serverTest(text: string): ServerTest {
  if (text === "") throw new UsageError("say who is used: a workload, a name, an address, a prefix or a port");
  const [, port, proto] = PORT.exec(text) ?? [];
  if (port !== undefined) {
    return (edge) => edge.port === Number(port) && (proto === undefined || edge.proto === proto);
  }
  if (ipaddr.isValidCIDR(text) || ipaddr.isValid(text)) return ({ server }) => server.addresses.some(isWithin(text));
  const hasName = namePattern([text]);
  return ({ server: { workload, name } }) =>
    (workload !== undefined && isCalled(workload, text)) || (name !== undefined && hasName(name));
}

/** @param text `name`, of any namespace, or `namespace/name` */
export function isCalled({ namespace, name }: EdgeWorkload, text: string): boolean {
  return text === name || text === `${namespace}/${name}`;
}

export function isEndCalled({ workload }: EdgeEnd, text: string): boolean {
  return workload !== undefined && isCalled(workload, text);
}

function isWithin(text: string): (address: string) => boolean {
  const [network, bits] = text.includes("/") ? ipaddr.parseCIDR(text) : [ipaddr.parse(text), null];
  const length = bits ?? (network.kind() === "ipv4" ? 32 : 128);
  return (address) => {
    if (!ipaddr.isValid(address)) return false;
    const one = ipaddr.parse(address);
    return one.kind() === network.kind() && one.match(network, length);
  };
}
