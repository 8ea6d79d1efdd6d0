/**
 * What a pod may have beyond its need, and which promise is weaker by it: one list for validation, status and events. None of it keeps a
 * profile from being in force; docs/threat-model.md says how each is closed.
 */

export const WEAKNESSES = {
  privileged: { what: "privileged", so: "it can reach the node's kernel and devices, and take enforcement off" },
  sysAdmin: { what: "CAP_SYS_ADMIN", so: "it can mount over listed paths and leave for other namespaces" },
  hostPid: { what: "hostPID", so: "it sees the node's processes, and as root it can enter what they have" },
  netAdmin: {
    what: "CAP_NET_ADMIN",
    so: "it can take other addresses, and make interfaces whose packets have no process",
  },
  sysPtrace: { what: "CAP_SYS_PTRACE", so: "it can take listed programs over, and act with their rights" },
  fuse: { what: "/dev/fuse", so: "it can mount file systems that answer as it likes, or never" },
  netRaw: {
    what: "CAP_NET_RAW",
    so: "it can read what enters and leaves the pod, and build packets, which are judged",
  },
  userNamespaces: {
    what: "no seccomp profile",
    so: "it can have user namespaces, where the node allows them, with all capabilities inside",
  },
  noOverlay: {
    what: "a root that is no overlay",
    so: "files that were changed since a container's start are recognised by their change times, and renamed folders not at all",
  },
} as const satisfies Record<string, { what: string; so: string }>;

export type Weakness = keyof typeof WEAKNESSES;

const ALL = Object.keys(WEAKNESSES) as Weakness[];

/** The parts of a security context that count here (core/v1 SecurityContext and PodSecurityContext). */
interface SecurityContext {
  privileged?: boolean;
  allowPrivilegeEscalation?: boolean;
  runAsUser?: number;
  runAsNonRoot?: boolean;
  capabilities?: { add?: string[]; drop?: string[] };
  seccompProfile?: { type?: string };
}

/** The parts of a pod's specification that count here. */
export interface SecuredPodSpec {
  hostPID?: boolean;
  securityContext?: SecurityContext;
  volumes?: { hostPath?: { path?: string } }[];
  containers?: { securityContext?: SecurityContext }[];
  initContainers?: { securityContext?: SecurityContext }[];
  ephemeralContainers?: { securityContext?: SecurityContext }[];
}

/** What some container of the pod has, the worst first. */
export function podWeaknesses(spec: SecuredPodSpec): Weakness[] {
  const containers = [spec.initContainers, spec.containers, spec.ephemeralContainers].flatMap((list) => list ?? []);
  const found = new Set(containers.flatMap((container) => contextWeaknesses(spec, container.securityContext ?? {})));
  if (spec.hostPID === true) found.add("hostPid");
  if (spec.volumes?.some(({ hostPath }) => /^\/dev(\/fuse)?\/?$/.test(hostPath?.path ?? ""))) found.add("fuse");
  return inOrder(found);
}

/** Capabilities of a runtime's default set that count here; the others have to be asked for. */
const DEFAULT_CAPABILITIES: readonly string[] = ["NET_RAW"];

const CAPABILITIES: readonly (readonly [name: string, bit: number, weakness: Weakness])[] = [
  ["SYS_ADMIN", 21, "sysAdmin"],
  ["NET_ADMIN", 12, "netAdmin"],
  ["SYS_PTRACE", 19, "sysPtrace"],
  ["NET_RAW", 13, "netRaw"],
];

function contextWeaknesses({ securityContext: pod = {} }: SecuredPodSpec, own: SecurityContext): Weakness[] {
  // Privileged has all the rest, and is said alone.
  if (own.privileged === true) return ["privileged"];
  const seccomp = own.seccompProfile?.type ?? pod.seccompProfile?.type ?? "Unconfined";
  const capabilities = isNeverRoot({ ...pod, ...own }) ? [] : CAPABILITIES.filter(([name]) => has(own, name));
  return [
    ...capabilities.map(([, , weakness]) => weakness),
    ...(seccomp === "Unconfined" ? (["userNamespaces"] as const) : []),
  ];
}

/** Another user's processes have no capabilities, unless a file gives them some. */
function isNeverRoot({ runAsUser, runAsNonRoot, allowPrivilegeEscalation }: SecurityContext): boolean {
  const isAnother = runAsNonRoot === true || (runAsUser !== undefined && runAsUser !== 0);
  return isAnother && allowPrivilegeEscalation === false;
}

function has({ capabilities: { add = [], drop = [] } = {} }: SecurityContext, name: string): boolean {
  const names = (list: string[]) => list.map((text) => text.toUpperCase().replace(/^CAP_/, ""));
  const [added, dropped] = [names(add), names(drop)];
  if (added.includes(name) || added.includes("ALL")) return true;
  return DEFAULT_CAPABILITIES.includes(name) && !dropped.includes(name) && !dropped.includes("ALL");
}

/** What a process is seen to have. */
export interface SeenProcess {
  /** CapEff of /proc/PID/status. */
  capabilities: bigint;
  /** Seccomp there: 0 is none. */
  seccomp: number;
  /** Type of the file system that its root is on; null: not known. */
  rootType: string | null;
}

/** All that a kernel of today knows, of which a container has 14. */
const NEARLY_ALL_CAPABILITIES = 36;

/** What some of the processes have, the worst first. */
export function processWeaknesses(processes: Iterable<SeenProcess>): Weakness[] {
  const found = new Set<Weakness>();
  for (const { capabilities, seccomp, rootType } of processes) {
    const count = capabilities.toString(2).replaceAll("0", "").length;
    if (count >= NEARLY_ALL_CAPABILITIES) found.add("privileged");
    else for (const [, bit, weakness] of CAPABILITIES) if ((capabilities >> BigInt(bit)) & 1n) found.add(weakness);
    if (seccomp === 0 && count < NEARLY_ALL_CAPABILITIES) found.add("userNamespaces");
    if (rootType !== null && rootType !== "overlay") found.add("noOverlay");
  }
  return inOrder(found);
}

/** `CAP_NET_RAW: it can read ...`. */
export function weaknessText(weakness: Weakness): string {
  const { what, so } = WEAKNESSES[weakness];
  return `${what}: ${so}`;
}

function inOrder(found: ReadonlySet<Weakness>): Weakness[] {
  return ALL.filter((weakness) => found.has(weakness));
}
