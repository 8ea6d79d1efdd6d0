/**
 * What a SecurityProfile means (docs/profiles.md), clause by clause, and for each a test that shows it on a kernel.
 * The core suite has them all, and a run in which one of them did not pass is not green.
 */

export interface Clause {
  /** Section, and what it says in a few words. */
  clause: string;
  /** The test file's name under test/e2e. */
  file: string;
  /** How the test's name begins, after the section. */
  test: string;
}

/** Section 2, which pods; 3, which process. */
const WHO: readonly Clause[] = [
  { clause: "§2 labels select", file: "selection", test: "§2 labelSelector, where present" },
  { clause: "§2 the profile's own labels", file: "selection", test: "§2 without labelSelector" },
  { clause: "§2 never every pod", file: "selection", test: "§2 bookkeeping labels do not select" },
  { clause: "§2 its own namespace", file: "selection", test: "§2 a profile selects workloads of its own namespace" },
  { clause: "§2 union", file: "selection", test: "§2 several profiles: a process may do" },
  { clause: "§2 strictest actions", file: "selection", test: "§2 several profiles: the strictest" },
  { clause: "§3 the file, not what was typed", file: "executables", test: "§3 a path is the file" },
  { clause: "§3 symlinks", file: "executables", test: "§3 a symlink is the file" },
  { clause: "§3 hard links", file: "executables", test: "§3 a hard link is the file of its own name" },
  { clause: "§3 bind mounts", file: "executables", test: "§3 a bind mount" },
  { clause: "§3 names that share a file", file: "executables", test: "§3 the status says which names share" },
  { clause: "§3 changed files", file: "executables", test: "§3 overlay, pivot: a file changed after the start" },
  { clause: "§3 deleted files", file: "executables", test: "§3 binary: Image is the default: a deleted file" },
  { clause: "§3 memfd", file: "executables", test: "§3 binary: Image is the default: a memfd" },
  { clause: "§3 binary: Any", file: "executables", test: "§3 overlay, pivot: binary: Any" },
  { clause: "§3 scripts", file: "scripts", test: "§3 a listed script is itself" },
  { clause: "§3 scripts by their interpreter", file: "scripts", test: "§3 a script that no profile lists" },
  { clause: "§3 fork", file: "attribution", test: "§3 first packet of a socket used after fork" },
  { clause: "§3 threads", file: "attribution", test: "§3 first packet of a socket used by a thread" },
  { clause: "§3 exec", file: "attribution", test: "§3 exec by a thread that is not the first" },
  { clause: "§3 reused pids", file: "attribution", test: "§3 a reused pid never inherits" },
  { clause: "§3 sockets handed over", file: "attribution", test: "§3 a socket handed over by SCM_RIGHTS" },
  { clause: "§3 sockets that several write into", file: "socket-hand-over", test: "§3 what a stranger writes into" },
  {
    clause: "§3 the first bytes of another",
    file: "socket-hand-over",
    test: "§3 the first bytes that a stranger writes",
  },
  { clause: "§3 accepted connections", file: "ingress", test: "§3 accept workers" },
  { clause: "§3 what was there first", file: "older", test: "§3 older than the agent, TCP connection" },
  { clause: "§3 traffic of no process", file: "attribution", test: "§3 AF_PACKET belongs to no process" },
  { clause: "§3 members of a group", file: "receivers", test: "§3 an IPv4 group" },
  { clause: "§3 who takes a flow over", file: "receivers", test: "§3 a flow's packets are not for another process" },
  { clause: "§3 who listens along", file: "receivers", test: "§3 a raw socket of a process that is not listed" },
  { clause: "§3 forged source ports", file: "attribution", test: "§3 a forged source port" },
  { clause: "§3 default", file: "selection", test: "§3 default: traffic of processes" },
  { clause: "§3 default absent", file: "layers", test: "§3 default absent" },
];

/** Section 4, what is allowed; 5, names. */
const WHAT: readonly Clause[] = [
  { clause: "§4.1 EtherTypes", file: "layers", test: "§4.1 l3.protocols" },
  { clause: "§4.1 families implied", file: "layers", test: "§4.1 without l3" },
  { clause: "§4.2 peers", file: "layers", test: "§4.2 peer: an address in a listed prefix" },
  { clause: "§4.2 no peer", file: "layers", test: "§4.2 peer: none listed" },
  { clause: "§4.3 protocols", file: "layers", test: "§4.3 l4.protocols: listed" },
  { clause: "§4.3 ports", file: "layers", test: "§4.3 l4.protocolPorts: both ends" },
  { clause: "§4.3 the local port", file: "ingress", test: "§4 ingress: the port is the local one" },
  { clause: "§4.4 applications", file: "layers", test: "§4.4 l7: a payload of another application" },
  { clause: "§4.5 questions", file: "names", test: "§5 a name that is not listed may not be asked" },
  { clause: "§4 stateful", file: "layers", test: "§4 stateful: replies" },
  { clause: "§4 ICMP errors", file: "layers", test: "§4 stateful: an ICMP error about an allowed flow" },
  { clause: "§4 listening", file: "ingress", test: "§4 listening is judged at listen" },
  { clause: "§5 fqdns", file: "names", test: "§5 fqdns: an address may be connected to" },
  { clause: "§5 l7.dns", file: "names", test: "§5 l7.dns: what may be asked" },
  { clause: "§5 wildcards", file: "names", test: "§5 wildcards: one or more labels" },
  { clause: "§5 letter case", file: "names", test: "§5 names: without case" },
  { clause: "§5 search domains", file: "names", test: "§5 search domains: expansions" },
  { clause: "§5 first packet", file: "names", test: "§5 the first packet to a learned address" },
  { clause: "§5 outstanding questions only", file: "names", test: "§5 answers are accepted for an outstanding" },
  { clause: "§5 CNAME", file: "names", test: "§5 CNAME" },
  { clause: "§5 every answer counts", file: "names", test: "§5 every A and AAAA" },
  { clause: "§5 for nobody else", file: "names", test: "§5 a learned address is good for nobody else" },
  { clause: "§5 TTL", file: "names", test: "§5 TTL" },
  { clause: "§5 EDNS", file: "names", test: "§5 EDNS" },
  { clause: "§5 IPv6", file: "names", test: "§5 fqdns: IPv6 addresses" },
  { clause: "§5 several questions", file: "names", test: "§5 several questions" },
  { clause: "§5 compression loops", file: "names", test: "§5 a compression loop" },
  { clause: "§5 truncation", file: "names", test: "§5 truncation: the client's TCP retry" },
  { clause: "§5 DNS over TCP", file: "names", test: "§5 DNS over TCP: judged" },
  { clause: "§5 fragments", file: "layers", test: "§5 IP fragments" },
  { clause: "§5 malformed", file: "names", test: "§5 a message on port 53 that is not" },
  { clause: "§5 port 53 exempts nothing", file: "names", test: "§5 port 53 exempts nothing" },
];

/** Sections 6 and 7, verdicts and modes; 8, attacks; 9, when things fail. */
const HOW: readonly Clause[] = [
  { clause: "§6 counters", file: "modes", test: "§6 each verdict is counted" },
  { clause: "§7 alert and enforce", file: "modes", test: "§7 alert and enforce" },
  { clause: "§7 alert", file: "modes", test: "§7 alert alone" },
  { clause: "§7 enforce", file: "modes", test: "§7 enforce alone" },
  { clause: "§7 no action", file: "modes", test: "§7 no action" },
  { clause: "§7 trace-dns", file: "modes", test: "§7 trace-dns" },
  { clause: "§7 learn", file: "modes", test: "§7 learn" },
  { clause: "§7 open flows", file: "modes", test: "§7 a change of mode" },
  { clause: "§8 arp-spoofing", file: "attacks", test: "§8 arp-spoofing: another's address" },
  { clause: "§8 ip-spoofing", file: "attacks", test: "§8 ip-spoofing" },
  { clause: "§8 ndp-spoofing", file: "attacks", test: "§8 ndp-spoofing" },
  { clause: "§8 dns-spoofing", file: "attacks", test: "§8 dns-spoofing" },
  { clause: "§9 Pending", file: "lifecycle", test: "§9 a new workload is blocked" },
  { clause: "§9 startup timeout: Allow", file: "lifecycle", test: "§9 after startupTimeout" },
  { clause: "§9 startup timeout: Block", file: "lifecycle", test: "§9 startupFailurePolicy Block" },
  { clause: "§9 the last policy known", file: "lifecycle", test: "§9 profiles that cannot be read at a restart" },
  { clause: "§9 the first instant", file: "gate", test: "§9 starts of a namespace" },
  { clause: "§9 invalid revisions", file: "lifecycle", test: "§9 a revision that is invalid" },
  { clause: "§9 revisions that do not fit", file: "lifecycle", test: "§9 a revision that does not fit" },
  { clause: "§9 an agent that is killed", file: "lifecycle", test: "§9 kill -9 of the agent" },
  { clause: "§9 names without an agent", file: "lifecycle", test: "§9 names go on being learned" },
  { clause: "§9 lost events", file: "lifecycle", test: "§9 events that could not be carried" },
  { clause: "§9 uninstalling", file: "lifecycle", test: "§9 detach --all leaves no trace" },
];

export const CLAUSES: readonly Clause[] = [...WHO, ...WHAT, ...HOW];
