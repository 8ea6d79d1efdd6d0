/**
 * How names resolve in a private namespace. The host's resolvers may listen on loopback only, which does not exist
 * there, and differ from host to host. So a private namespace always asks 169.254.53.53 (.54, .55 for the second and
 * third), and its gateway hands that on to the host's name servers: a profile can name one address on every machine.
 * Pure.
 */
import ipaddr from "ipaddr.js";
import { MAX_NAMESERVERS, type ResolverConfiguration } from "../discovery/resolv-conf.ts";

const FIRST_ADDRESS = 53;

/** systemd-resolved's stub takes packets from the loopback interface only; it lists the servers behind it here. */
export const SYSTEMD_RESOLVED_STUBS: ReadonlySet<string> = new Set(["127.0.0.53", "127.0.0.54"]);
export const SYSTEMD_RESOLVED_SERVERS = "/run/systemd/resolve/resolv.conf";

/** One name server as seen from inside, and what it stands for. */
export interface ResolverMapping {
  inside: string;
  host: string;
  /** The host's resolver is on its loopback interface. */
  loopback: boolean;
}

/**
 * Maps the host's name servers. IPv6 ones are left out: IPv4 addresses cannot be translated to them.
 *
 * @param behindStub what `SYSTEMD_RESOLVED_SERVERS` says; null where it is not there
 */
export function mapResolvers(host: ResolverConfiguration, behindStub: ResolverConfiguration | null): ResolverMapping[] {
  const stubbed = host.nameservers.some((address) => SYSTEMD_RESOLVED_STUBS.has(address));
  // Without any, libc asks the local host.
  const own = host.nameservers.length === 0 ? ["127.0.0.1"] : host.nameservers;
  const servers = stubbed && behindStub !== null ? behindStub.nameservers : own;
  const usable = servers.filter((address) => ipaddr.IPv4.isValidFourPartDecimal(address));
  return usable.slice(0, MAX_NAMESERVERS).map((address, index) => ({
    inside: `169.254.53.${FIRST_ADDRESS + index}`,
    host: address,
    loopback: ipaddr.parse(address).range() === "loopback",
  }));
}

/** What resolv.conf says inside: the mapped servers, with the host's search domains and options. */
export function insideConfiguration(
  host: ResolverConfiguration,
  mappings: readonly ResolverMapping[],
): ResolverConfiguration {
  return { ...host, nameservers: mappings.map(({ inside }) => inside) };
}
