/**
 * The catalogue of codes: of errors, of problems that statuses name, and of findings about manifests. A code is stable, so that it
 * can be searched for. The message that carries it names the object and the cause; this says what the code means anywhere, and what
 * to do. docs/errors.md is generated from it, and `portcullis explain CODE` prints it.
 */

export interface CodeEntry {
  /** A sentence: what has happened. */
  readonly meaning: string;
  /** A sentence: what to do about it. */
  readonly remedy: string;
}

const WRITE_OTHERWISE = "Write what the message proposes.";
const REPORT = "Report it as a bug in Portcullis, with the message and the log before it.";

/** Codes of errors: a command ends with them, or a component logs them. */
const ERRORS = {
  PC_AGENT_RUNNING: {
    meaning: "An agent holds the lock of this pin root.",
    remedy: "Stop that agent, or work on another pin root.",
  },
  PC_BAD_MESSAGE: {
    meaning: "A message between agent and operator has a field with a value that the protocol does not allow.",
    remedy: "Bring operator and agents to the same version; if they have it, report a bug.",
  },
  PC_BPF_LOAD: {
    meaning: "The kernel refused a BPF program.",
    remedy: "Read the verifier's last lines in the message; `portcullis doctor` shows what the kernel has.",
  },
  PC_BPF_OBJECT: {
    meaning: "A BPF object does not hold what this version expects in it.",
    remedy: "Build the objects of this version (make build), or install the package again.",
  },
  PC_BTF: {
    meaning: "Type information (BTF) of a BPF object or of the kernel cannot be read.",
    remedy: "Use a kernel with CONFIG_DEBUG_INFO_BTF, and objects that were built with clang -g (make build).",
  },
  PC_CAPACITY: {
    meaning:
      "A policy has more entries than a BPF map holds, or than its namespace may have of it; the policy before it stays in force.",
    remedy: "Shorten the profiles' lists, or select fewer workloads on the node.",
  },
  PC_COMPILE: {
    meaning: "Valid profiles cannot be compiled to a rule table.",
    remedy:
      "Change the rules that the message names: merge blocks, use networks of the right family, list a file once.",
  },
  PC_EVENT_INVALID: {
    meaning: "A line is not an event as the agent writes them.",
    remedy: "Pass lines of the agent's JSON output unchanged; docs/events.md describes them.",
  },
  PC_FILES_BUSY: {
    meaning: "Too many files of containers wait to be looked at; this one was left out.",
    remedy: "Nothing: it is looked at again. If it stays, see whether file systems of containers are slow.",
  },
  PC_FILES_HELPER: {
    meaning: "The process that looks at files of containers has ended.",
    remedy: "Nothing: it is started again. If it keeps ending, look at the node's memory and at the agent's log.",
  },
  PC_FILES_HUNG: {
    meaning: "A file system in a container does not answer, so its links are not resolved.",
    remedy: "See what is mounted in the container: FUSE and network file systems can hang.",
  },
  PC_FILES_UNREADABLE: {
    meaning: "A file in a container could not be looked at.",
    remedy: "See the cause in the message, and the permissions of the agent.",
  },
  PC_EXPORTS_INVALID: {
    meaning: "The file of exports has something in it that cannot be.",
    remedy: "Correct the field that the message names; docs/export.md describes all of them.",
  },
  PC_FILTER_INVALID: {
    meaning: "A filter of records has a value that it cannot have.",
    remedy: "Write one of those that the message names; `portcullis observe --help` lists the filters.",
  },
  PC_GATE_CGROUP: {
    meaning: "The gate cannot be attached to the cgroup that was named for it.",
    remedy: "Name a cgroup v2 directory that exists, such as kubepods.slice.",
  },
  PC_INTERNAL: { meaning: "The program is in a state that its own logic rules out.", remedy: REPORT },
  PC_KEPT_STATE: {
    meaning: "The operator's state that an agent has kept on disk cannot be read.",
    remedy: "Nothing: the agent asks the operator for all of it. If it comes back, look at the disk.",
  },
  PC_KERNEL: {
    meaning: "The kernel refused an operation.",
    remedy: "See the error number in the message; `portcullis doctor` shows what this node offers and what is missing.",
  },
  PC_KUBECTL: {
    meaning: "kubectl, which `kubectl portcullis` works through, failed.",
    remedy: "See kubectl's words in the message; check the context, the namespace and your rights.",
  },
  PC_KUBE_API: {
    meaning: "The API server refused a request.",
    remedy: "See its reason in the message; for 403 check the RBAC rules that the chart installs.",
  },
  PC_KUBE_CONFIG: {
    meaning: "No cluster, context or credential is configured, or what is configured cannot be used.",
    remedy: "Set KUBECONFIG or name a kubeconfig and a context; in a pod mount a service account token.",
  },
  PC_KUBE_SILENT: {
    meaning: "The API server has accepted a request and sent nothing for too long.",
    remedy: "Nothing: it is asked again. If it stays, look at the API server and at the network to it.",
  },
  PC_KUBE_TOO_LARGE: {
    meaning: "The API server's answer is larger than the memory allowed for one.",
    remedy: "Look for objects of unusual size in the list that the message names.",
  },
  PC_KUBE_UNREACHABLE: {
    meaning: "The API server cannot be reached.",
    remedy: "Check its address, the network to it, and its certificate.",
  },
  PC_LAYOUT: {
    meaning: "A value and its place in a BPF map differ in size or layout.",
    remedy: "Detach the enforcement of the other version of Portcullis, then start this one.",
  },
  PC_LIBRARY_MISSING: {
    meaning: "A shared library that the agent calls is not installed.",
    remedy: "Install the library that the message names (libbpf, libc).",
  },
  PC_LISTEN: {
    meaning: "An address cannot be listened on.",
    remedy: "Choose another address or port, or end the process that has it.",
  },
  PC_MOUNT: {
    meaning: "A file system that the agent needs (bpffs, cgroup v2) is not mounted.",
    remedy: "Mount it as the message shows; in a container mount the host's.",
  },
  PC_NETLINK: {
    meaning: "An answer of the kernel over netlink cannot be read, or did not come.",
    remedy: "Try again; if it stays, report it with the kernel's version.",
  },
  PC_NO_MANIFESTS: {
    meaning: "A folder that was named holds no manifest.",
    remedy: "Name a folder with files that end in .yaml, .yml or .json.",
  },
  PC_OBJECTS_MISSING: {
    meaning: "There is no BPF object where the agent looks for it.",
    remedy: "Run make build, or name the objects' folder in PORTCULLIS_OBJECTS.",
  },
  PC_OBSERVE_INPUT: {
    meaning: "A file of records is cut off, or has a line that is no record.",
    remedy:
      "Pass lines of `-o json` of `portcullis observe` or `portcullis agent` unchanged; the message names the line.",
  },
  PC_OBSERVE_REFUSED: {
    meaning: "The operator does not show events to whoever asked.",
    remedy:
      "Get the right to `get` `pods/verdicts` of security.datadoghq.com in the namespace; docs/kubernetes.md has the roles.",
  },
  PC_OBSERVE_SERVER: {
    meaning: "No agent answers questions about records where it was asked, or its answer broke off.",
    remedy: "Start the agent, name its socket, and ask as root; the agent's log says why it does not serve.",
  },
  PC_OPERATOR_CONNECTION: {
    meaning: "The agent cannot read its token or its certificates for the connection to the operator.",
    remedy: "Check the projected token and the certificate authority that are mounted into the agent's pod.",
  },
  PC_OTHER_NAMESPACE: {
    meaning: "What is pinned here guards interfaces of another network namespace.",
    remedy: "Run the command in that network namespace (nsenter), or work on another pin root.",
  },
  PC_PINS_INCOMPATIBLE: {
    meaning: "What is pinned was made by another version, and this one cannot continue with it; it stays in force.",
    remedy: "Detach it and start this version; in a cluster set agent.replacePins in the chart.",
  },
  PC_PINS_INCOMPLETE: {
    meaning: "Some of what is pinned is missing: a start failed half-way, or somebody removed it.",
    remedy: "Start the agent again, which repairs it, or detach it.",
  },
  PC_PLATFORM: {
    meaning: "The agent does not run on this operating system or architecture.",
    remedy: "Run it on Linux on x86-64 or arm64; `portcullis validate` and `portcullis explain` work anywhere.",
  },
  PC_PROFILE_INVALID: {
    meaning: "`portcullis run` did not start its command, because its profiles have errors.",
    remedy: "Correct what the report above the error shows.",
  },
  PC_PROFILE_THREAD: {
    meaning: "The operator's thread that reads profiles has ended, or does not answer.",
    remedy: "Nothing: it is started again. If it keeps ending, look at the operator's log and memory limit.",
  },
  PC_RECORD_FIELD: {
    meaning: "A field is named that no record has.",
    remedy: "Name one of those that the message lists; docs/events.md describes them.",
  },
  PC_RESOLV_CONF: {
    meaning: "A resolver configuration (resolv.conf) cannot be read or has no name server.",
    remedy: "Make one that names the resolver.",
  },
  PC_RING_BUFFER: {
    meaning: "Events could not be read from the kernel.",
    remedy: "See the cause in the message; report it if it stays.",
  },
  PC_RUN_ADDRESS_RANGE: {
    meaning: "There is no free IPv4 network for a private network namespace.",
    remedy: "Remove one of the routes that the message names while the command runs.",
  },
  PC_RUN_COMMAND: {
    meaning: "The command of `portcullis run` does not exist or is not executable.",
    remedy: "Check its path, its spelling, PATH and its permissions.",
  },
  PC_RUN_FIREWALL: {
    meaning: "A firewall of the host drops forwarded packets, probably those of `portcullis run` too.",
    remedy: 'Let its chain accept the interfaces "pcr*", as input and as output.',
  },
  PC_RUN_NFT_MISSING: {
    meaning: "The command nft is not installed; `portcullis run` needs it.",
    remedy: "Install the package nftables.",
  },
  PC_RUN_NFT_REFUSED: {
    meaning: "nft refused the rules that connect a private network namespace.",
    remedy: "Check that the kernel has nftables with NAT (nf_tables, nft_chain_nat).",
  },
  PC_RUN_NOT_GUARDED: {
    meaning: "`portcullis run` did not start its command, because its profile would not be in force.",
    remedy: "See the reason in the message; `portcullis doctor` shows what this node offers.",
  },
  PC_RUN_NO_RESOLVER: {
    meaning: "A command under `portcullis run` cannot reach the host's resolver.",
    remedy: "Name a resolver in /etc/resolv.conf that is not on loopback.",
  },
  PC_RUN_SETUP: {
    meaning: "The private network namespace of `portcullis run` could not be made.",
    remedy: "Do what the message says: install the missing program, or end the process that is in the way.",
  },
  PC_SETTINGS_CONFLICT: {
    meaning: "Two settings contradict each other, or a setting has too many values; the command ended with status 2.",
    remedy: "Change the setting that the message names.",
  },
  PC_STATE_FORMAT: {
    meaning: "A state or a part of it cannot be read.",
    remedy: "Nothing: the agent asks for a full state. If it stays, bring operator and agents to the same version.",
  },
  PC_STATE_HASH: {
    meaning: "Agent and operator come to different states from the same changes.",
    remedy: "Nothing: the agent asks for a full state. If it stays, report a bug.",
  },
  PC_STATE_UNREADABLE: {
    meaning: "The agent's state file cannot be used.",
    remedy: "See the cause in the message. Start the agent, which writes the file anew, or detach all that is pinned.",
  },
  PC_STATUS_UNWRITABLE: {
    meaning: "The cluster's definition of SecurityProfiles has no status any more.",
    remedy: "Install the definition again (crds/).",
  },
  PC_STREAM_REFUSED: {
    meaning: "The operator refused an agent's connection.",
    remedy: "See the reason in the message: token, node, version, or an operator that is not the leader.",
  },
  PC_TABLE_FORMAT: {
    meaning: "A serialized rule table cannot be read.",
    remedy: "Compile the profiles again with this version.",
  },
  PC_UNCAUGHT: { meaning: "An error reached the last handler; the process goes on.", remedy: REPORT },
  PC_UNEXPECTED: { meaning: "An operation failed by an error without a code.", remedy: REPORT },
  PC_UNINSTALL: {
    meaning: "Enforcement could not be taken off every node.",
    remedy: "Look at the agents' pods of the nodes that are left, or run `portcullis detach` on these nodes.",
  },
  PC_UNREADABLE: {
    meaning: "A file or folder that was named cannot be read.",
    remedy: "Check its path and its permissions.",
  },
  PC_UNWRITABLE: {
    meaning: "A file that was to be mended cannot be written.",
    remedy: "Check its permissions and the space of its disk.",
  },
  PC_USAGE: {
    meaning: "An option or an argument is missing or cannot be used; the command ended with status 2.",
    remedy: "Do what the message says; the command's help has examples.",
  },
} as const satisfies Record<string, CodeEntry>;

/** Codes that the status of a profile, a pod or a node names. Some are of errors too. */
const PROBLEMS = {
  PC_HOOK_MISSING: {
    meaning: "This kernel has no place for one of the programs, so something is not seen.",
    remedy: "Read the consequence in the message and in docs/kernels.md; use a newer kernel if it matters.",
  },
  PC_INTERFACE_UNGUARDED: {
    meaning: "An interface leads out of the workload past the veth that is guarded.",
    remedy: "Remove it, or replace it by a veth pair.",
  },
  PC_KERNEL_BEHIND: {
    meaning:
      "The kernel does not enforce the newest rules yet; the rules before them stay in force, and the agent tries again.",
    remedy: "See the cause in the message.",
  },
  PC_MAP_FULL: {
    meaning: "A BPF map was full, so something could not be remembered.",
    remedy: "Read the consequence in the message; spread the workloads over more nodes.",
  },
  PC_NETNS_ABSENT: {
    meaning: "There is no network namespace of this name.",
    remedy: "Create it (ip netns add): it is guarded from then on. Or correct the name.",
  },
  PC_NETNS_ARGUMENT: {
    meaning: "The description of a network namespace to be guarded cannot be used.",
    remedy: "Write NAME:key=value,key2=value2, each name once.",
  },
  PC_NETNS_HOST: {
    meaning: "The network namespace is the agent's own, which has no veth to guard it by.",
    remedy: "Name the network namespace of a workload.",
  },
  PC_NETNS_UNREADABLE: {
    meaning: "A network namespace cannot be looked at, and is not guarded.",
    remedy: "See the cause in the message, and the permissions of the agent.",
  },
  PC_NETNS_WITHOUT_VETH: {
    meaning: "A network namespace has no veth whose other end the agent can see, so it is not guarded.",
    remedy: "Connect it by a veth pair; docs/cni.md lists the network plugins that do.",
  },
  PC_PEER_REDIRECT: {
    meaning:
      "A BPF program of another can put packets into pods past the node's end of their veths, where they are judged.",
    remedy: "Have the CNI deliver through the veth: docs/cni.md says how (Cilium, Calico).",
  },
  PC_POD_HOST_NETWORK: {
    meaning: "The pod shares the node's network namespace, and is not guarded.",
    remedy: "Run it without hostNetwork.",
  },
  PC_POD_STARTING: {
    meaning: "The pod has no process on the node yet.",
    remedy: "Nothing: it is guarded as soon as it has one.",
  },
  PC_POLICY_UNKNOWN: {
    meaning: "The policy of a pod is not known yet, or could not be had in time.",
    remedy: "Look at the operator and at the agent's connection to it.",
  },
  PC_RECORDS_NOT_KEPT: {
    meaning:
      "The node's records cannot be written to disk, or nobody can ask for them; what is judged does not depend on it.",
    remedy: "Free space on the node's disk, or lower the size of records; the message names folder or socket.",
  },
  PC_STATE_KEPT: {
    meaning: "The operator's state is in force and could not be written to disk.",
    remedy:
      "Free space on the node's disk, and check the state directory: the agent needs it to start without an operator.",
  },
} as const satisfies Record<string, CodeEntry>;

/** Codes of what `portcullis validate` and the operator find in manifests. */
const FINDINGS = {
  PC_ACTIONS_CONFLICT: {
    meaning: "learn is listed beside alert or enforce.",
    remedy: "Learn first; then replace learn by alert or enforce.",
  },
  PC_ANCESTORS_CONFLICT: {
    meaning: "A process entry lists an executable both as an ancestor that has to be and as one that must not be.",
    remedy: "Take it off `ancestors` or off `notAncestors`.",
  },
  PC_ATTACK_NOT_IMPLEMENTED: {
    meaning: "An attack is listed that this version does not detect.",
    remedy: "Remove it from the list.",
  },
  PC_CIDR_HOST_BITS: {
    meaning: "A network has bits set behind its prefix.",
    remedy: "Write the network, or the prefix length that is meant.",
  },
  PC_CIDR_INVALID: {
    meaning: "Text is not a network of the family of its list.",
    remedy: "Write address/prefix length, such as 10.0.0.0/8 or 2001:db8::/32.",
  },
  PC_DEFAULT_WITHOUT_NEIGHBOURS: {
    meaning: "A default leaves out ARP or neighbour discovery, without which a pod finds no gateway.",
    remedy: "Allow them as the message says, or remove default.",
  },
  PC_DNS_TWICE: { meaning: "DNS rules are given beside l7 and in l7.", remedy: "Keep l7.dns only." },
  PC_ENTRY_DUPLICATE: { meaning: "A list has the same entry twice.", remedy: "Remove one." },
  PC_FAMILY_CONFLICT: {
    meaning: "Peers are listed whose IP version l3.protocols leaves out.",
    remedy: "Add the IP version, or remove the list.",
  },
  PC_FIELD_MISSING: { meaning: "A required field is missing.", remedy: "Add it." },
  PC_FIELD_TYPE: { meaning: "A field has a value of another type.", remedy: WRITE_OTHERWISE },
  PC_FIELD_UNKNOWN: { meaning: "There is no such field.", remedy: WRITE_OTHERWISE },
  PC_INGRESS_NAMES: {
    meaning: "Ingress rules have a field that is about connecting: services, peers, fqdns or dns.",
    remedy: "List the peers under pods, cidr4 or cidr6; move dns to egress.",
  },
  PC_LABEL_INVALID: {
    meaning: "A label's key or value is not one of Kubernetes.",
    remedy: "Follow Kubernetes' syntax of labels.",
  },
  PC_NAME_INVALID: { meaning: "A name is not a DNS name, a pattern or an object's name.", remedy: WRITE_OTHERWISE },
  PC_NAME_SINGLE_LABEL: {
    meaning: "A name under fqdns has one label, which resolvers complete by search domains.",
    remedy: "Write the full name.",
  },
  PC_NEVER_MATCHES: {
    meaning: "A rule is valid and lets nothing pass, because one of its layers is missing.",
    remedy: "Add what the message names.",
  },
  PC_NOT_AN_OBJECT: { meaning: "A document is not an object.", remedy: "Remove it, or write an object." },
  PC_NO_PROFILES: { meaning: "There is no SecurityProfile in what was named.", remedy: "Name files that hold one." },
  PC_OTHER_KIND: { meaning: "A document is of another kind and was skipped.", remedy: "Nothing." },
  PC_PATH_INVALID: {
    meaning: "A path is not the clean absolute path of a file.",
    remedy: "Write it from /, without //, /./ and /../, in at most 255 bytes.",
  },
  PC_PEER_EMPTY: {
    meaning: "An entry of pods has no selector.",
    remedy: "Add podSelector or namespaceSelector; an empty podSelector, {}, means all pods of the namespace.",
  },
  PC_POD_WEAKNESS: {
    meaning: "A pod has more rights than it needs, which weakens its profile.",
    remedy: "Remove them as docs/threat-model.md says.",
  },
  PC_PORT_RANGE: {
    meaning: "endPort is less than port.",
    remedy: "Write the last port of the range, or leave endPort out.",
  },
  PC_PORT_REDUNDANT: {
    meaning: "A port is listed whose whole protocol is allowed anyway.",
    remedy: "Remove the port, or the protocol.",
  },
  PC_PROCESS_DUPLICATE: {
    meaning: "The same path and container are listed twice.",
    remedy: "Merge the two entries.",
  },
  PC_PROFILE_DUPLICATE: {
    meaning: "Two profiles have the same name and namespace.",
    remedy: "Rename or remove one.",
  },
  PC_SELECTOR_VALUES: {
    meaning: "The operator of a selector and its values do not fit.",
    remedy: "Give In and NotIn values, Exists and DoesNotExist none.",
  },
  PC_SELECTS_NOTHING: {
    meaning: "A profile has neither labels nor a selector, so it selects no pod.",
    remedy: "Set spec.labelSelector, or the pods' labels on the profile.",
  },
  PC_VALUE_RANGE: { meaning: "A value is out of its bounds.", remedy: WRITE_OTHERWISE },
  PC_VALUE_UNKNOWN: { meaning: "A value is not one of those that the field has.", remedy: WRITE_OTHERWISE },
  PC_YAML: { meaning: "Text is not YAML or JSON.", remedy: "Correct it at the place that the message names." },
} as const satisfies Record<string, CodeEntry>;

export const ERROR_CODES = { ...ERRORS, ...PROBLEMS, ...FINDINGS };

/** Whatever code Portcullis gives. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** The catalogue in sections, for a page. */
export const CODE_SECTIONS: readonly { title: string; codes: Readonly<Record<string, CodeEntry>> }[] = [
  { title: "Errors of commands and components", codes: ERRORS },
  { title: "Problems of workloads and nodes", codes: PROBLEMS },
  { title: "Findings about manifests", codes: FINDINGS },
];

/** What a code means, or null for text that is none. */
export function codeEntry(code: string): CodeEntry | null {
  return Object.hasOwn(ERROR_CODES, code) ? ERROR_CODES[code as ErrorCode] : null;
}
