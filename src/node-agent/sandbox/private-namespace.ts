/**
 * A network namespace of its own for one command (`portcullis run`): a veth pair to the host, addresses that collide
 * with nothing, IPv4 to the outside by address translation, and a resolver. IPv6 leads outside only where the host
 * forwards IPv6 anyway: to turn that on would make the host ignore router advertisements. Everything on the host
 * bears the namespace's number (private-slots.ts), and whoever makes the next one collects what a dead owner left.
 */
import { realpathSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { PortcullisError } from "../../api/errors.ts";
import { causeText, InternalError } from "../../api/errors.ts";
import { addBoundNamespace, boundNamespaceInum, ownNamespaceInum } from "../discovery/namespaces/bound-namespaces.ts";
import { NamespaceInspector } from "../discovery/namespaces/namespace-inspector.ts";
import { endNamespaceProcesses } from "../discovery/namespaces/namespace-processes.ts";
import { formatResolvConf, type ResolverConfiguration, searchDomains } from "../discovery/resolv-conf.ts";
import { readResolvConf } from "../discovery/resolv-conf-file.ts";
import type { Workload } from "../discovery/workload.ts";
import { FAMILY } from "../netlink/addresses.ts";
import { RouteConnection } from "../netlink/connection.ts";
import { WorkloadError } from "../netlink/errors.ts";
import { listLinks } from "../netlink/links.ts";
import { applyRuleset, closedForwardChains } from "../netlink/nft.ts";
import { listRoutes, type Route } from "../netlink/routes.ts";
import { Forwarding, forwardsIpv6, uplinks } from "./forwarding.ts";
import { type GuestOptions, type GuestProcess, spawnGuest } from "./guest-process.ts";
import { buildPrivateLink } from "./private-link.ts";
import { choosePrivateAddresses, hasDefaultRoute, type PrivateAddresses } from "./private-range.ts";
import { collectLeftovers, privateNames, removePrivateNamespace } from "./private-remains.ts";
import {
  insideConfiguration,
  mapResolvers,
  type ResolverMapping,
  SYSTEMD_RESOLVED_SERVERS,
} from "./private-resolver.ts";
import { type PublishedPort, rulesetText } from "./private-ruleset.ts";
import { claimFreeSlot, exclusively, type Slot, slotsInUse } from "./private-slots.ts";

export const PRIVATE_FOLDER = "/run/portcullis/private";
const HOST_RESOLV_CONF = "/etc/resolv.conf";
const FORWARDING_FILE = "forwarding.json";
const DEFAULT_MTU = 1500;
/** Milliseconds until a new link has said all that it says by itself (two multicast reports; see private-link.ts). */
const SETTLING_TIME = 50;

export interface PrivateNamespaceOptions {
  /** Of the workload that the command will be. */
  name: string;
  /** Kubernetes namespace; `default` where absent. */
  namespace?: string;
  labels: Readonly<Record<string, string>>;
  /** Ports of the host's IPv4 addresses that lead to the command. */
  published?: readonly PublishedPort[];
  /** Where numbers and notes are kept; one per host, `PRIVATE_FOLDER` where absent. */
  folder?: string;
}

/** What the host has to offer to a new private namespace. */
interface HostNetwork {
  routes: Route[];
  uplinks: string[];
  mtu: number;
  ipv6Outside: boolean;
  resolvConf: ResolverConfiguration;
  resolvers: ResolverMapping[];
}

function lookAtHost(own: RouteConnection): HostNetwork {
  const routes = listRoutes(own);
  const links = listLinks(own);
  const names = uplinks(links, routes);
  const mtus = links.filter(({ name }) => names.includes(name)).map(({ mtu }) => mtu);
  const resolvConf = readResolvConf(HOST_RESOLV_CONF);
  if (resolvConf === null) {
    throw new WorkloadError("PC_RESOLV_CONF", `there is no ${HOST_RESOLV_CONF}; make one that names the resolver`);
  }
  return {
    routes,
    uplinks: names,
    mtu: Math.min(DEFAULT_MTU, ...mtus),
    ipv6Outside: forwardsIpv6() && hasDefaultRoute(routes, FAMILY.IPV6),
    resolvConf,
    resolvers: mapResolvers(resolvConf, readResolvConf(SYSTEMD_RESOLVED_SERVERS)),
  };
}

function warningsAbout(host: HostNetwork): WorkloadError[] {
  const warnings = closedForwardChains().map(
    ({ family, table, name }) =>
      new WorkloadError(
        "PC_RUN_FIREWALL",
        `chain ${name} of table ${family} ${table} drops forwarded packets that it does not accept by a rule; if the ` +
          'command gets no answers, have it accept the interfaces "pcr*", as iifname and as oifname',
      ),
  );
  if (host.resolvers.length === 0) {
    const message =
      `names will not resolve: ${HOST_RESOLV_CONF} names no IPv4 server to hand questions on to. ` +
      "Add one, if the command needs names";
    warnings.push(new WorkloadError("PC_RUN_NO_RESOLVER", message));
  }
  return warnings;
}

/** A private namespace that is ready for its command. */
export class PrivateNamespace implements AsyncDisposable {
  /** Its number; unique on the host while it lives. */
  readonly id: number;
  readonly workload: Workload;
  /** The name servers that the command sees, e.g. `169.254.53.53`. */
  readonly resolvers: readonly string[];
  /** What may not work, and why. */
  readonly warnings: readonly PortcullisError[];
  /** Numbers of earlier private namespaces whose owners had died, and which have been removed. */
  readonly collected: readonly number[];
  readonly #slot: Slot;
  readonly #folder: string;
  readonly #guests: GuestProcess[] = [];
  #closing: Promise<void> | null = null;

  constructor(made: Made, folder: string, collected: readonly number[], warnings: readonly PortcullisError[]) {
    this.id = made.slot.number;
    this.workload = made.workload;
    this.resolvers = made.resolvers.map(({ inside }) => inside);
    this.warnings = warnings;
    this.collected = collected;
    this.#slot = made.slot;
    this.#folder = folder;
  }

  /** Starts the command, which should be done once its profile is in force. See `spawnGuest`. */
  spawn(command: readonly [string, ...string[]], options: GuestOptions = {}): GuestProcess {
    const { resolvConf } = privateNames(this.id, this.#folder);
    const place = { netnsPath: this.workload.netnsPath, resolvConf, resolvConfTarget: realpathSync(HOST_RESOLV_CONF) };
    const guest = spawnGuest(place, command, options);
    this.#guests.push(guest);
    return guest;
  }

  /** Ends what still runs in there, or has left for namespaces of its own. Whoever takes the guards away does this first. */
  async endProcesses(): Promise<void> {
    await endNamespaceProcesses(this.workload.netnsInum);
    await Promise.all(this.#guests.map((guest) => guest.end()));
  }

  /** Ends what still runs in there, and removes all of it from the host. Once, however often it is called. */
  close(): Promise<void> {
    this.#closing ??= this.#remove();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #remove(): Promise<void> {
    await this.endProcesses();
    await exclusively(this.#folder, () => giveBack(this.#slot, this.#folder));
  }
}

/** A namespace that has been made, on its way to its owner. */
interface Made {
  slot: Slot;
  workload: Workload;
  resolvers: readonly ResolverMapping[];
}

function forwarding(folder: string): Forwarding {
  return new Forwarding(`${folder}/${FORWARDING_FILE}`, ownNamespaceInum());
}

function giveBack(slot: Slot, folder: string): void {
  removePrivateNamespace(slot.number, folder);
  slot.release();
  if (!slotsInUse(folder)) forwarding(folder).close();
}

/** Makes everything that bears the slot's number. */
function furnish(own: RouteConnection, host: HostNetwork, slot: Slot, options: PrivateNamespaceOptions): Made {
  const folder = options.folder ?? PRIVATE_FOLDER;
  const names = privateNames(slot.number, folder);
  const addresses = choosePrivateAddresses(slot.number, host.routes);
  const { resolvers, ipv6Outside, mtu } = host;
  writeFileSync(names.resolvConf, formatResolvConf(insideConfiguration(host.resolvConf, resolvers)), { mode: 0o644 });
  const netnsPath = addBoundNamespace(names.namespace);
  const { hostInterface, table } = names;
  const { published = [] } = options;
  // Both lead from or to addresses of loopback over the link.
  const routesLoopback = published.length > 0 || resolvers.some(({ loopback }) => loopback);
  // First the rules, then the link: there is no moment in which the link leads where it must not.
  const openedInterfaces = forwarding(folder).open(host.uplinks);
  const inside6 = ipv6Outside ? (addresses.ipv6?.inside ?? null) : null;
  applyRuleset(
    rulesetText({ table, hostInterface, inside4: addresses.inside4, inside6, resolvers, published, openedInterfaces }),
  );
  buildPrivateLink(own, { hostInterface, netnsPath, addresses, mtu, ipv6Outside, routesLoopback });
  const asked = resolvers.map(({ inside }) => inside);
  const searched = searchDomains(host.resolvConf, hostname());
  return { slot, resolvers, workload: describe(own, netnsPath, addresses, searched, asked, options) };
}

function describe(
  own: RouteConnection,
  netnsPath: string,
  addresses: PrivateAddresses,
  searched: string[],
  resolvers: string[],
  { name, namespace = "default", labels }: PrivateNamespaceOptions,
): Workload {
  const netnsInum = boundNamespaceInum(netnsPath);
  if (netnsInum === null) throw new InternalError(`no network namespace is bound to ${netnsPath}, just made`);
  const observer = new NamespaceInspector(name, netnsPath, netnsInum);
  try {
    const { nsid, interfaces, problems } = observer.inspect(own, listLinks(own));
    const [problem] = problems;
    if (problem !== undefined) throw problem;
    const { inside4, ipv6 } = addresses;
    const own6 = ipv6 === null ? [] : [ipv6.inside];
    return {
      ...{ name, namespace, labels, netnsPath, netnsInum, nsid, interfaces, problems },
      addresses: [inside4, ...own6],
      searchDomains: searched,
      resolvers,
      containers: [],
    };
  } finally {
    observer.close();
  }
}

/**
 * Makes a private namespace, in the network namespace of the caller. What is made is removed by `close`, or, if the
 * process dies before, by the next call.
 *
 * @throws WorkloadError (PC_RUN_...), KernelError; nothing is left behind then
 */
export async function createPrivateNamespace(options: PrivateNamespaceOptions): Promise<PrivateNamespace> {
  const folder = options.folder ?? PRIVATE_FOLDER;
  using own = new RouteConnection();
  const place = await exclusively(folder, () => {
    const { collected, failures } = collectLeftovers(folder);
    const host = lookAtHost(own);
    const slot = claimFreeSlot(folder);
    try {
      const made = furnish(own, host, slot, options);
      return new PrivateNamespace(made, folder, collected, [...failures, ...warningsAbout(host)]);
    } catch (error) {
      undo(slot, folder, error);
      throw error;
    }
  });
  await sleep(SETTLING_TIME);
  return place;
}

/** Removes what was made before `error` came. @throws WorkloadError that tells of both, where that fails too */
function undo(slot: Slot, folder: string, error: unknown): void {
  try {
    giveBack(slot, folder);
  } catch (second) {
    slot.abandon();
    const message = `${causeText(error)}. What had been made is left to the next run to remove: ${causeText(second)}`;
    throw new WorkloadError("PC_RUN_SETUP", message, { cause: error });
  }
}
