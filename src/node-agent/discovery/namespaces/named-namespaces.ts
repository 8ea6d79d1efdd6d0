/**
 * Workloads that are named network namespaces, which may come, change, go and come again at any time. The
 * source asks rtnetlink sockets on a short timer (Node cannot wait for them) and looks again at everything when one
 * has something to say; a slower look at everything finds what no notification tells.
 */
import { hostname } from "node:os";
import { causeText } from "../../../api/errors.ts";
import { ROUTE_GROUP } from "../../ffi/sockets.ts";
import { RouteConnection, RouteWatch } from "../../netlink/connection.ts";
import { WorkloadError } from "../../netlink/errors.ts";
import { type Link, listLinks } from "../../netlink/links.ts";
import { nameServers, searchDomains } from "../resolv-conf.ts";
import { readResolvConf } from "../resolv-conf-file.ts";
import type { UnresolvedWorkload, Workload, WorkloadListener, WorkloadSnapshot, WorkloadSource } from "../workload.ts";
import { workloadKey } from "../workload.ts";
import { boundNamespaceInum, namespacePath, ownNamespaceInum } from "./bound-namespaces.ts";
import type { NamedNamespace } from "./namespace-argument.ts";
import { NamespaceInspector } from "./namespace-inspector.ts";

export interface NamedNamespacesOptions {
  /** Called with what went wrong while looking; the last state stays, and the next look tries again. */
  onError: (error: unknown) => void;
  /** Milliseconds between two looks at the sockets: about how long a new veth may go unnoticed. */
  pollInterval?: number;
  /** Milliseconds between two looks at everything. */
  refreshInterval?: number;
}

const POLL_INTERVAL = 20;
const REFRESH_INTERVAL = 5000;

/** What is known of one named namespace: the workload, or why it is none. */
interface Entry {
  readonly named: NamedNamespace;
  inspector: NamespaceInspector | null;
  state: Workload | WorkloadError;
}

/** Source of workloads that are named network namespaces. */
export class NamedNamespaces implements WorkloadSource, Disposable {
  readonly #entries: Entry[];
  readonly #options: NamedNamespacesOptions;
  readonly #connection: RouteConnection;
  readonly #watch: RouteWatch;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<WorkloadListener>();
  #snapshot: WorkloadSnapshot = { workloads: [], unresolved: [] };
  #fingerprint = "";
  #refreshed = 0;

  /**
   * @throws WorkloadError (PC_NETNS_ARGUMENT) where a workload is named twice; KernelError where the kernel lets us
   *   not look
   */
  constructor(namespaces: readonly NamedNamespace[], options: NamedNamespacesOptions) {
    refuseRepetition(namespaces);
    this.#entries = namespaces.map((named) => ({ named, inspector: null, state: absent(named) }));
    this.#options = options;
    this.#watch = new RouteWatch(null, ROUTE_GROUP.LINK);
    this.#connection = new RouteConnection();
    this.refresh();
    this.#timer = setInterval(() => this.#poll(), options.pollInterval ?? POLL_INTERVAL);
  }

  snapshot(): WorkloadSnapshot {
    return this.#snapshot;
  }

  refresh(): WorkloadSnapshot {
    this.#refreshed = performance.now();
    const ownLinks = listLinks(this.#connection);
    for (const entry of this.#entries) entry.state = this.#look(entry, ownLinks);
    const snapshot = takeSnapshot(this.#entries);
    const fingerprint = JSON.stringify(snapshot, comparable);
    if (fingerprint !== this.#fingerprint) {
      this.#fingerprint = fingerprint;
      this.#snapshot = snapshot;
      for (const listener of [...this.#listeners]) listener(snapshot);
    }
    return this.#snapshot;
  }

  subscribe(listener: WorkloadListener): () => void {
    this.#listeners.add(listener);
    listener(this.#snapshot);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
    for (const entry of this.#entries) release(entry);
    this.#connection.close();
    this.#watch.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #poll(): void {
    try {
      if (this.#stale()) this.refresh();
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #stale(): boolean {
    // Each watch is asked, so that none of them keeps what it has to say for the next time.
    const watches = this.#entries.map(({ inspector }) => inspector?.changed() ?? false);
    const heard = this.#watch.changed() || watches.includes(true);
    if (heard || performance.now() - this.#refreshed >= (this.#options.refreshInterval ?? REFRESH_INTERVAL))
      return true;
    return this.#entries.some(({ named, inspector }) => currentInum(named) !== (inspector?.inum ?? null));
  }

  #look(entry: Entry, ownLinks: readonly Link[]): Workload | WorkloadError {
    const { named, state } = entry;
    try {
      const inum = currentInum(named);
      if (inum !== (entry.inspector?.inum ?? null)) release(entry);
      if (inum === null) return remainder(state, ownLinks) ?? absent(named);
      if (inum === ownNamespaceInum()) return isOwn(named);
      entry.inspector ??= new NamespaceInspector(named.name, namespacePath(named.name), inum);
      return this.#inspect(named, entry.inspector, ownLinks);
    } catch (error) {
      const problem = unreadable(named, error);
      // Not to be able to look does not set free what is guarded.
      return state instanceof WorkloadError ? problem : { ...state, problems: [problem] };
    }
  }

  #inspect(named: NamedNamespace, inspector: NamespaceInspector, ownLinks: readonly Link[]): Workload | WorkloadError {
    const { problems, ...seen } = inspector.inspect(this.#connection, ownLinks);
    const [problem] = problems;
    if (seen.interfaces.length === 0 && problem !== undefined) return problem;
    return {
      ...named,
      ...seen,
      netnsPath: namespacePath(named.name),
      netnsInum: inspector.inum,
      ...resolverOf(named.name),
      containers: [],
      problems,
    };
  }
}

function takeSnapshot(entries: readonly Entry[]): WorkloadSnapshot {
  const workloads: Workload[] = [];
  const unresolved: UnresolvedWorkload[] = [];
  for (const { named, state } of entries) {
    if (state instanceof WorkloadError) unresolved.push({ ...named, problem: state });
    else workloads.push(state);
  }
  return { workloads, unresolved };
}

/**
 * What there is of a workload whose name is gone. The namespace may live on in its processes, and a name taken away
 * must not set them free: the workload ends when its interfaces do. null where nothing is left.
 */
function remainder(state: Workload | WorkloadError, ownLinks: readonly Link[]): Workload | null {
  if (state instanceof WorkloadError) return null;
  const interfaces = state.interfaces.filter(({ hostIfindex }) =>
    ownLinks.some(({ index, kind, peerNsid }) => index === hostIfindex && kind === "veth" && peerNsid === state.nsid),
  );
  return interfaces.length === 0 ? null : { ...state, interfaces };
}

/** Closes what looks into the namespace, which would keep it alive. What is known of it stays. */
function release(entry: Entry): void {
  entry.inspector?.close();
  entry.inspector = null;
}

function currentInum({ name }: NamedNamespace): number | null {
  return boundNamespaceInum(namespacePath(name));
}

function refuseRepetition(namespaces: readonly NamedNamespace[]): void {
  const seen = new Set<string>();
  for (const named of namespaces) {
    const key = workloadKey(named);
    if (seen.has(key)) {
      throw new WorkloadError(
        "PC_NETNS_ARGUMENT",
        `network namespace ${named.name} is named twice; put all its labels into one`,
      );
    }
    seen.add(key);
  }
}

/** How names are resolved by what runs in a named namespace, which sees /etc/netns/NAME/resolv.conf if there is one. */
function resolverOf(name: string): Pick<Workload, "searchDomains" | "resolvers"> {
  const configuration = readResolvConf(`/etc/netns/${name}/resolv.conf`) ?? readResolvConf("/etc/resolv.conf");
  if (configuration === null) return { searchDomains: [], resolvers: [] };
  return { searchDomains: searchDomains(configuration, hostname()), resolvers: nameServers(configuration) };
}

/** For comparison only: errors by what they say, big integers by their digits. */
function comparable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof WorkloadError ? `${value.code} ${value.message}` : value;
}

function absent({ name }: NamedNamespace): WorkloadError {
  return new WorkloadError(
    "PC_NETNS_ABSENT",
    `there is no network namespace ${name} (${namespacePath(name)}). It is guarded as soon as there is one: ` +
      `ip netns add ${name}`,
  );
}

function isOwn({ name }: NamedNamespace): WorkloadError {
  return new WorkloadError(
    "PC_NETNS_HOST",
    `network namespace ${name} is the agent's own, which has no veth to guard it by. Name the namespace of a workload`,
  );
}

function unreadable({ name }: NamedNamespace, cause: unknown): WorkloadError {
  return new WorkloadError(
    "PC_NETNS_UNREADABLE",
    `network namespace ${name} cannot be looked at, and is not guarded: ${causeText(cause)}`,
    { cause },
  );
}
