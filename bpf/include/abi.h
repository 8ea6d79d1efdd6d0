/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Everything that the kernel side and user space both know: map keys and values, events, enums.
 * This file is the only description of these layouts; `tools/generate-abi.ts` reads them back from the
 * objects' BTF and writes the TypeScript codecs. Rules: explicit padding, no bit fields, no pointers.
 *
 * Conventions: every address is 16 bytes, IPv4 as ::ffff:a.b.c.d. "local" is the workload's side and
 * "remote" its peer's, whichever way a packet goes. Ports and addresses are in network byte order,
 * everything else in host order. Times are CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns).
 */
#ifndef PORTCULLIS_ABI_H
#define PORTCULLIS_ABI_H

#define PATH_TEXT_MAX 256   /* with the terminating NUL; longer paths are PROCESS_PATH_UNKNOWN */
#define NAME_TEXT_MAX 254   /* ".www.example.com" for the longest name, 253 bytes, and one dot */
#define COMM_MAX 16
#define LEARNED_NAMES_MAX 4 /* names remembered per learned address */
#define NAME_DOT_IN_LABEL 'A' /* stands in names' texts for a dot that separates no labels */
#define NAME_ZERO 'B'         /* and this for the byte 0; letters of names are lower case */
#define DNS_PORTS_MAX 4
#define ADDRESS_LENGTH 16

enum direction { DIRECTION_EGRESS = 0, DIRECTION_INGRESS = 1 };

/* What happened to a packet. COUNTED: a violation under a profile without actions. */
enum verdict { VERDICT_ALLOWED = 0, VERDICT_ALERTED = 1, VERDICT_DROPPED = 2, VERDICT_COUNTED = 3 };

/* Why. The closed list of the contract, section 6; names are shared with events, metrics and docs. */
enum reason {
	REASON_ALLOWED = 0,
	REASON_PENDING,
	REASON_ETHERTYPE,
	REASON_PEER,
	REASON_PORT,
	REASON_APPLICATION,
	REASON_DNS_NAME,
	REASON_DNS_MALFORMED,
	REASON_FRAGMENT,
	REASON_MALFORMED,
	REASON_BINARY_UNKNOWN,
	REASON_BINARY_MODIFIED,
	REASON_UNATTRIBUTED,
	REASON_LISTEN,
	REASON_ARP_SPOOFING,
	REASON_IP_SPOOFING,
	REASON_NDP_SPOOFING,
	REASON_DNS_SPOOFING,
	REASON_CAPACITY,
	REASON_COUNT,
};

enum mode_flag { MODE_ALERT = 1, MODE_ENFORCE = 2, MODE_TRACE_DNS = 4, MODE_LEARN = 8 };

enum attack_flag {
	ATTACK_ARP_SPOOFING = 1,
	ATTACK_IP_SPOOFING = 2,
	ATTACK_NDP_SPOOFING = 4,
	ATTACK_DNS_SPOOFING = 8,
};

enum application { APPLICATION_DNS = 0, APPLICATION_HTTP = 1, APPLICATION_TLS = 2, APPLICATION_COUNT = 3,
		   APPLICATION_NONE = 254, APPLICATION_UNDECIDED = 255 };

enum ethertype_class { ETHERTYPE_IPV4 = 0, ETHERTYPE_IPV6 = 1, ETHERTYPE_ARP = 2, ETHERTYPE_COUNT = 3 };

/* ------------------------------------------------------------------------------- settings, per node */

enum setting_flag {
	SETTING_REPORT_ALLOWED = 1,
	SETTING_REGISTRATIONS = 2, /* bpf/flows.bpf.c is at work: `registrations` is worth a look */
};

/* `settings`: ARRAY[1]. */
struct settings {
	__u64 fqdn_min_ttl;    /* ns */
	__u64 fqdn_max_ttl;    /* ns */
	__u64 fqdn_grace;      /* ns added to every learned address's lifetime */
	__u64 event_interval;  /* ns between two events of one kind (same limit key) */
	__u64 udp_idle;        /* ns after which a UDP or ICMP flow counts as new */
	__u32 flags;           /* enum setting_flag */
	__u16 dns_ports[DNS_PORTS_MAX]; /* host order, 0 = unused */
	__u32 host_netns;      /* inode number of the network namespace that the agent works in */
};

/*
 * `process_epochs`, `namespace_epochs`: ARRAY[EPOCHS] of __u64, which only grow. A verdict that is remembered rests on who
 * a process is and on which sockets a network namespace has; it is good until either begins a new epoch (bpf/include/epoch.h).
 */
#define EPOCHS 262144

/* ------------------------------------------------------------------------------------------ workloads */

enum workload_flag {
	WORKLOAD_PENDING = 1,        /* profile not known yet: everything is a violation, and dropped */
	WORKLOAD_UNRESTRICTED = 2,   /* known, and no profile selects it: everything passes, unjudged */
	WORKLOAD_DEFAULT_ABSENT = 4, /* no profile gives a `default`: neighbour discovery only */
	WORKLOAD_OWN_ROOTS = 8,      /* its processes run in containers: what is mounted in there is not the image's */
	WORKLOAD_GROUPS = 16,        /* some process may speak IGMP, so the kernel may for it */
};

/*
 * `workloads`: ARRAY, one instance per (workload, revision). A new revision is written to a free instance
 * and put in force by one store to `interfaces[ifindex]`; the old instance is then free.
 */
struct workload {
	__u32 id;                  /* stable for the life of the workload; key of all its state */
	__u32 table_id;            /* rule table in force; changes with every revision */
	__u32 flags;               /* enum workload_flag */
	__u32 mode;                /* enum mode_flag */
	__u32 attacks;             /* enum attack_flag */
	__u32 netns_inum;          /* inode number of its network namespace */
	__s32 nsid;                /* id of that namespace in the agent's, for socket lookups; -1 unknown */
	__u32 ifindex;             /* host-side veth */
	__u32 default_ruleset[2];  /* by enum direction; 0 = the empty rule set */
};

/* `interfaces`: ARRAY[65536], ifindex -> instance (0 = none). `interfaces_high`: HASH for larger ones. */
/* `namespaces`: HASH, netns inode number (__u32) -> instance (__u32). */

/*
 * `addresses`: HASH. Which addresses are a workload's own. Value: __u8. Hardware addresses of its interfaces are among them, behind
 * HARDWARE_ADDRESS_PREFIX and zeros: no host has such an address of IPv6.
 */
#define HARDWARE_ADDRESS_PREFIX 0xffff
struct address_key {
	__u32 workload_id;
	__u8 address[ADDRESS_LENGTH];
};

/* -------------------------------------------------------------------------------------------- devices */

/*
 * `devices`: HASH. Every end of a veth pair that is in the agent's network namespace, from before it is up until it is gone
 * (bpf/devices.bpf.c). Ends elsewhere are only where these lead: a pod that makes pairs for itself takes no room here.
 */
struct device_key {
	__u32 netns_inum;
	__u32 ifindex;
};

enum veth_flag {
	VETH_FOUND = 1, /* by user space: it is older than the programs */
};

struct veth_end {
	__u64 changed;          /* ns; 0 if found */
	struct device_key peer; /* zeros while it is not known */
	__u32 flags;            /* enum veth_flag */
	__u32 padding;
};

/* `device_changes`: ARRAY[1] of __u64: how often `devices` has been written to. */

/* --------------------------------------------------------------------------------------------- the gate */

enum gate_flag { GATE_CLOSED = 1, GATE_OPENS_AFTER_TIMEOUT = 2 };

/* `gate`: ARRAY[1]. What a network namespace that is not in care yet may do (bpf/gate.bpf.c). */
struct gate {
	__u64 timeout;        /* ns from the first packet until startupFailurePolicy holds */
	__u32 flags;          /* enum gate_flag */
	__u32 host_netns;     /* inode number of the namespace that is nobody's in particular */
};

/*
 * Inode numbers of namespaces are used again at once, cookies never. A cookie of 0 is one that is not known: kernels
 * before 5.14 do not tell it, and neither does a socket that is older than the programs.
 */

/* `cared`: HASH, netns inode number (__u32) -> cookie (__u64) of the namespace whose interfaces all have classifiers. */

/* `gated`: LRU_HASH, netns inode number (__u32) -> */
struct gated {
	__u64 netns_cookie;
	__u64 first_seen;     /* ns */
	__u64 dropped;        /* packets */
	__u64 passed;         /* packets let through after the timeout */
	__u64 owner;          /* cgroup of who made the first socket there, see struct claim_key */
};

/* ---------------------------------------------------------------------------------------- rule tables */

/*
 * A rule set judges one direction of one binary. It is the union of up to 64 blocks, one per (profile,
 * process entry); a packet is allowed if one block allows it on every layer. Each layer's lookup yields
 * the mask of the blocks that allow it there, and the masks are ANDed.
 */

/* `binaries`: HASH. container_id: FNV-1a of the container's name, 0 = any container. */
struct binary_key {
	__u32 table_id;
	__u32 path_id;
	__u32 container_id;
};
struct binary {
	__u32 id;          /* index in the table, 0 is `default` */
	__u32 ruleset[2];  /* by enum direction */
};

/* `rulesets`: HASH, ruleset id (__u32, < 65536; 0 = empty, never stored) -> */
struct ruleset {
	__u64 ethertype[ETHERTYPE_COUNT];
	__u64 any_application;                 /* blocks that do not look at L7 (or list `any`) */
	__u64 application[APPLICATION_COUNT];  /* blocks that list this application */
	__u64 ask_any;                         /* blocks under which any name may be asked */
	__u64 ask_records;                     /* blocks whose questions may carry records: any name, or `l7.dns` */
	__u64 fqdn;                            /* blocks that list fqdns: learned addresses count */
	__u64 any_binary;                      /* blocks with `binary: Any` */
};

/* `peers4`, `peers6`: LPM_TRIE -> __u64 mask. Masks are flattened: a prefix has its ancestors' bits too. */
struct peer4_key {
	__u32 prefixlen;  /* 32 + length */
	__u32 ruleset;
	__u8 address[4];
};
struct peer6_key {
	__u32 prefixlen;  /* 32 + length */
	__u32 ruleset;
	__u8 address[16];
};

/* `ports`: LPM_TRIE -> __u64 mask, flattened. Prefix 32: any protocol; 48: all of one; 48 + n: port prefix. */
struct port_key {
	__u32 prefixlen;
	__u32 ruleset;
	__u8 protocol;
	__u8 zero;
	__u16 port;  /* network order; 0 for protocols without ports */
};

/*
 * `names`: LPM_TRIE. A name is stored reversed, lower case, one dot before each label: "www.example.com" is
 * "moc.elpmaxe.www.", "*.example.com" is "moc.elpmaxe." and "*" is "". The longest match's `exact_*` masks
 * hold if the asked name has just this length, its `below_*` masks if it is longer. All are flattened.
 */
struct name_key {
	__u32 prefixlen;  /* 16 + 8 * length */
	__u16 ruleset;
	char text[NAME_TEXT_MAX];
};
struct name_rule {
	__u64 exact_ask;
	__u64 exact_connect;
	__u64 below_ask;
	__u64 below_connect;
	__u32 length;  /* of the pattern's text */
	__u32 padding;
};

/* ------------------------------------------------------------------------------------------- identity */

/*
 * What one owner may have of the node's memory for processes, for paths that no profile lists, and for sockets that are
 * registered by their addresses (bpf/include/claim.h).
 */
#define PROCESSES_CLAIM 4096
#define PATHS_CLAIM 1024
/* And all owners together of the paths, so that there is room for those that profiles list. */
#define PATHS_CLAIM_ALL 12288
#define CLAIM_OWNER_ALL 0
/* Network namespaces at the gate: a container starts in one, and may make more for itself. */
#define STRANGERS_CLAIM 16
#define REGISTRATIONS_CLAIM 2048
enum claim_kind { CLAIM_PROCESSES = 0, CLAIM_PATHS = 1, CLAIM_STRANGERS = 2, CLAIM_REGISTRATIONS = 3 };

/* `claims`: LRU_HASH. */
struct claim_key {
	__u64 owner;         /* cgroup v2 id, or the inode number of a workload's network namespace and the highest bit */
	__u32 kind;          /* enum claim_kind */
	__u32 padding;
};
struct claim {
	__s64 count;
	__u64 refused;       /* times that there was no more to be had */
};

/* `paths`: HASH, path text (NUL padded) -> path id. The kernel numbers from 1, user space from here: */
#define PATH_ID_USER 0x40000000u
/* Set in a subject's path id when the binary was changed after its container started. */
#define PATH_ID_MODIFIED 0x80000000u
struct path_text {
	char text[PATH_TEXT_MAX];
};

/* `path_texts`: HASH, path id that the kernel gave out -> */
struct named_path {
	char text[PATH_TEXT_MAX];
	__u64 owner;         /* see struct claim_key */
};

enum process_flag {
	PROCESS_MODIFIED = 1,         /* not the image's own file, or not run as that: see executable.h */
	PROCESS_DELETED = 2,          /* the file has no name any more; memfd too */
	PROCESS_PATH_UNKNOWN = 4,     /* too long, too deep, or `paths` is full */
	PROCESS_MOUNTED = 8,          /* the file is not on the mount that its root directory is on */
	PROCESS_SCRIPT_MOUNTED = 16,  /* the script's is not */
	PROCESS_LED_BY_ENV = 32,      /* its script begins with #!/usr/bin/env, which is about to execute the interpreter */
};

/* `processes`: HASH, tgid (__u32, initial PID namespace) -> */
struct process {
	__u64 variables;      /* bit per variable that names code to be loaded (started.h); all if they were not seen */
	__u64 start_time;     /* group leader's start_boottime (start_time where there is none), ns */
	__u64 cgroup_id;      /* on the cgroup v2 hierarchy */
	__u64 owner;          /* whose claim the entry is, see struct claim_key */
	__u32 path_id;
	__u32 script_id;      /* the script that its interpreter runs; 0 if it was not executed through a shebang */
	__u32 flags;          /* enum process_flag */
	__u32 netns_inum;     /* at exec or fork */
	__u32 parent_tgid;
	__u32 parent_path_id; /* at fork */
	__u32 lineage;        /* tgid that executed what this process runs: its own, or of who it was forked from */
	__u32 padding;
	char comm[COMM_MAX];
};

/* `containers`: HASH, cgroup v2 id (__u64) -> container id (__u32). */

/* Who used a socket, as a snapshot: it outlives the process. */
struct actor {
	__u64 start_time;
	__u64 cgroup_id;
	__u32 tgid;
	__u32 path_id;
	__u32 script_id;
	__u32 flags;
	__u32 lineage;
	__u32 padding;
};

enum socket_flag {
	SOCKET_ACCEPTED = 1,  /* a listener's child: the remote side began */
	SOCKET_FOUND = 2,     /* older than the agent, found by the iterator */
	SOCKET_PORT_ASKED = 4, /* bound to a port of its own choice: it listens, if it is UDP */
	SOCKET_SEVERAL_FORMER = 8, /* more former users than the storage holds: nobody's, until their bytes have left */
};

/* `socket_owners`: SK_STORAGE, cloned to accepted sockets. */
struct socket_owner {
	struct actor creator;
	struct actor user;    /* the last one seen to use it; both must be allowed */
	struct actor former;  /* the user before, who must be allowed too until what it wrote has left */
	__u64 former_until;   /* TCP: `bytes_acked` by then; others: ns, all ones while it is queued; 0: it has left */
	__u64 epoch;          /* of the user's lineage, in which it was found to be who it is */
	__u64 connected;      /* ns, when a datagram socket was connected; 0: it was not seen to be */
	__u64 netns_cookie;   /* of its network namespace, 0 if not known */
	__u32 flags;          /* enum socket_flag */
	__u32 netns_inum;
	__u32 received;       /* datagrams that were checked to be its own flows', or RECEIVES_ALONE and its port */
	__u32 padding;
};

/*
 * `registrations`: LRU_HASH. The second source of who owns a socket, by addresses as the network stack has them
 * (bpf/flows.bpf.c): for packets that come in and find no socket, and for sockets without storage. Unconnected sockets have
 * no remote side in it, and sockets bound to any address no local one (zeros).
 */
struct registration_key {
	__u32 netns_inum;
	__u8 protocol;
	__u8 raw;            /* 1: a raw socket's last datagram, by the remote address alone: to compare only */
	__u8 padding[2];
	__u8 local[ADDRESS_LENGTH];
	__u8 remote[ADDRESS_LENGTH];
	__u16 local_port;    /* a ping socket's identifier */
	__u16 remote_port;
};

enum registration_flag {
	REGISTRATION_SHARED = 1, /* by sockets of different identities: it says nothing */
};

struct registration {
	struct actor actor;
	__u64 time;          /* ns */
	__u64 socket;        /* tells sockets apart, and means nothing else */
	__u32 flags;         /* enum registration_flag */
	__u32 padding;
};

/* `registered`: LRU_HASH, socket (__u64) -> under which key it is registered. Who is not in there has no registration. */
struct registered_socket {
	struct registration_key key;
	__u32 padding;
	__u64 owner;         /* see struct claim_key */
};

/*
 * `last_listeners`: HASH -> struct actor. Who listened on a port last, and might. When nobody does, what comes for the
 * port is judged as if it still did: it reaches nobody, and the kernel's refusal is an answer to it.
 */
struct last_listener_key {
	__u32 workload_id;
	__u16 port;          /* network order */
	__u8 protocol;
	__u8 padding;
};

/* -------------------------------------------------------------------------------------------- traffic */

/*
 * A workload's share of each map that traffic fills (bpf/include/share.h): so many entries. As many workloads as fit in the
 * maps' sizes may have filled their shares at once.
 */
#define FLOWS_SHARE 8192
#define FRAGMENTS_SHARE 256
#define DNS_QUERIES_SHARE 512
#define DNS_NAMES_SHARE 1024
#define LEARNED_SHARE 1024
#define LIMITS_SHARE 512
#define LAST_LISTENERS_SHARE 256
#define DNS_PARTS_SHARE 64
#define ICMP_REQUESTS_SHARE 256
#define EVENTS_SHARE 1000 /* in a second */
#define COUNTERS_SHARE 256
enum share_kind {
	SHARE_FLOWS = 0,
	SHARE_FRAGMENTS,
	SHARE_REFUSED_FRAGMENTS,
	SHARE_DNS_QUERIES,
	SHARE_DNS_NAMES,
	SHARE_LEARNED,
	SHARE_LIMITS,
	SHARE_COUNTERS,
	SHARE_LAST_LISTENERS,
	SHARE_DNS_PARTS,
	SHARE_EVENTS,
	SHARE_ICMP_REQUESTS,
	SHARE_COUNT,
};

/* Bytes of one DNS message that are read: 256 AAAA records and more. */
#define DNS_MESSAGE_MAX 8192

/* `shares`: HASH. */
struct share_key {
	__u32 workload_id;
	__u32 kind;          /* enum share_kind */
};
struct share {
	struct bpf_spin_lock lock;
	__u32 next;          /* position whose turn it is */
	__u32 used;          /* positions that have had an entry */
	__u32 padding;
	__u64 lost;          /* entries that were pushed out, and counters and events that were not to be had */
	__u64 since;         /* of events: when the second began of which `used` says how many there were */
};

/* `places`: HASH. The key of the entry that has a place in a ring, by whichever map's it is. */
#define PLACE_KEY_MAX 64
struct place_key {
	__u32 workload_id;
	__u16 kind;          /* enum share_kind */
	__u16 position;
};
struct place {
	__u8 key[PLACE_KEY_MAX];
};

/* `flows`: HASH. ICMP and ICMPv6 echo: both ports are the identifier. */
struct flow_key {
	__u32 workload_id;
	__u8 protocol;
	__u8 padding[3];
	__u8 local[ADDRESS_LENGTH];
	__u8 remote[ADDRESS_LENGTH];
	__u16 local_port;
	__u16 remote_port;
};

enum flow_flag {
	FLOW_DNS = 1,          /* on a DNS port: every message is parsed */
	FLOW_L7_PENDING = 2,   /* first payload not seen yet, and some block looks at it */
	FLOW_PAYLOAD_REFUSED = 4, /* its first payload was refused, which nothing but other rules can change */
	FLOW_COOKIE_KNOWN = 8,
	FLOW_DNS_SEQUENCE_EGRESS = 16,   /* dns_next[DIRECTION_EGRESS] is known */
	FLOW_DNS_SEQUENCE_INGRESS = 32,
	FLOW_ENDED_EGRESS = 64,  /* TCP: a FIN or reset has gone this way; both: the connection is over */
	FLOW_ENDED_INGRESS = 128,
	FLOW_PREFACED = 256,     /* what may stand before the first payload has come, at dns_next of its direction */
};

/*
 * Whose rights apply: the socket's user, its creator if that is somebody else, and its former user while bytes of his may
 * be about to leave.
 */
struct subject {
	__u32 path_id;       /* script's or binary's, PATH_ID_MODIFIED; 0: no process */
	__u32 container_id;
	__u32 ruleset;       /* in the flow's direction */
	__u32 binary_id;     /* in the table; 0 is `default` */
	__u64 mask;          /* blocks that allow the flow so far */
};
#define SUBJECTS_MAX 3

struct flow {
	__u64 cookie;
	__u64 last_seen;
	__u64 epoch;         /* sum of the process's and the network namespace's */
	__u64 name_hash;     /* the learned name that its remote address had, 0 if none */
	__u64 allowed_since; /* a name that was good then is good for as long as the flow is open */
	__u64 start_time;    /* of the process that used it last, with tgid and cgroup_id */
	__u64 cgroup_id;
	struct subject subjects[SUBJECTS_MAX];
	__u32 table_id;
	__u32 tgid;
	__u32 dns_next[2];   /* DNS over TCP: sequence number of the next byte to be read. See FLOW_PREFACED */
	__u8 subject_count;
	__u8 direction;      /* who began: enum direction */
	__u8 reason;         /* REASON_ALLOWED or why not */
	__u8 application;
	__u32 flags;         /* enum flow_flag */
	__u16 dns_length[2]; /* DNS over TCP: of the message whose length has been read, 0 if that comes next */
	__u16 dns_held[2];   /* DNS over TCP: bytes of that message that have come, in `dns_parts`; of its length, if that is 0 */
	__u8 dns_prefix[2];  /* DNS over TCP: the first byte of a length, which came alone */
	__u8 padding[2];
	__u32 tick;          /* jiffies (low half) when last_seen was looked at last */
	__u32 lineage;       /* of the process that used it last */
	__u32 used;          /* 1 after a packet, until its place in the ring has its next turn */
};

/* `fragments`: HASH. The verdict of a datagram's first fragment, for the others of the same sender. */
struct fragment_key {
	__u64 socket;        /* cookie of the sending one; 0 for what comes in, or leaves without */
	__u32 workload_id;
	__u32 identification;
	__u8 source[ADDRESS_LENGTH];
	__u8 destination[ADDRESS_LENGTH];
	__u8 protocol;
	__u8 direction;
	__u8 padding[6];
};
struct fragment {
	__u64 seen;
	__u32 table_id;
	__u32 path_id;
	__u32 length;        /* of what the first carries: none of the others may reach into it */
	__u8 reason;
	__u8 padding[3];
};

/* `icmp_requests`: HASH of requests that have come in and may be answered -> when (__u64). See kernel_answer.h. */
struct icmp_request_key {
	__u64 hash;
	__u32 workload_id;
	__u32 padding;
};

/* ------------------------------------------------------------------------------------------------ DNS */

/* What is wrong with a message that is no well-formed DNS: goes with REASON_DNS_MALFORMED. */
enum dns_fault {
	DNS_FAULT_NONE = 0,
	DNS_FAULT_HEADER,    /* shorter than a header */
	DNS_FAULT_OPCODE,    /* one that asks for nothing by a name, or is not assigned */
	DNS_FAULT_COUNTS,    /* more or fewer questions than one, or records where none belong */
	DNS_FAULT_NAME,      /* too long, cut off, compressed in a question, or in a circle */
	DNS_FAULT_CLASS,
	DNS_FAULT_RECORD,    /* cut off, of a length that its type does not have, or of a type that does not belong there */
	DNS_FAULT_OPTIONS,   /* EDNS options that are cut off, or hold more than a question needs */
	DNS_FAULT_PADDING,   /* EDNS padding that is not of zeros, or too long */
	DNS_FAULT_TRAILING,  /* bytes behind the last record */
	DNS_FAULT_DIRECTION, /* an answer from the side that asks, or a question from the side that answers */
	DNS_FAULT_CUT,       /* it goes on behind the packet's end */
	DNS_FAULT_LENGTH,    /* TCP: a length that is shorter than a header */
	DNS_FAULT_GAP,       /* TCP: what comes before it has not been seen */
	DNS_FAULT_COUNT,
};

/* `dns_queries`: HASH of questions. They are outstanding for DNS_QUESTION_LIFETIME (bpf/include/dns_flow.h). */
struct dns_query_key {
	struct flow_key flow;
	__u16 id;
	__u16 padding;
};
struct dns_query {
	__u64 name_hash;
	__u64 asked;
	__u32 path_id;       /* the subject that asked */
	__u32 container_id;
	__u32 second_path_id;      /* the second subject, if the flow has one */
	__u32 second_container_id;
	__u16 type;
	__u16 connects;      /* bit n: a rule of subject n connects to the name, so that its addresses are worth a place */
	__u16 answered;      /* 1 after an answer: to forget it is no loss */
	__u16 padding;
};

/* `dns_names`: HASH, of the names that a workload has learned addresses of -> the name as in name_key. */
struct dns_name_key {
	__u64 hash;
	__u32 workload_id;
	__u32 padding;
};
struct dns_name {
	__u8 text[NAME_TEXT_MAX];
	__u8 length;
	__u8 padding;
};

/* `learned`: HASH. Which names an address was an answer to, for one process of one workload. */
struct learned_key {
	__u32 workload_id;
	__u32 path_id;
	__u32 container_id;
	__u8 address[ADDRESS_LENGTH];
};
struct learned_name {
	__u64 hash;
	__u64 expires;
};
struct learned {
	struct learned_name names[LEARNED_NAMES_MAX];
};

/* -------------------------------------------------------------------------------- counters and events */

/* `counters`: PERCPU_HASH. path_id 0 also stands in when the workload's share is full. */
struct counter_key {
	__u32 workload_id;
	__u32 path_id;
	__u8 direction;
	__u8 reason;
	__u8 verdict;
	__u8 padding;
};
struct counter {
	__u64 packets;
	__u64 bytes;
};

/* `errors`: PERCPU_ARRAY of __u64: every helper that failed, by what it was for. */
enum error {
	ERROR_FLOWS_FULL = 0,
	ERROR_FRAGMENTS_FULL,
	ERROR_COUNTERS_FULL,
	ERROR_EVENTS_LOST,
	ERROR_LIMITS_FULL,
	ERROR_PACKET_READ,
	ERROR_SCRATCH,
	ERROR_DNS_QUERIES_FULL,
	ERROR_DNS_NAMES_FULL,
	ERROR_LEARNED_FULL,
	ERROR_DNS_NAME_COLLISION,
	ERROR_DNS_NAME_EVICTED,
	ERROR_DNS_ANSWERS_TRUNCATED,  /* the end of an answer was not there, or behind what is read of one */
	ERROR_DNS_ADDRESSES_LEFT,     /* an answer with more addresses than are learned of one */
	ERROR_DNS_CHAIN_LEFT,         /* an answer with more CNAME records than are followed */
	ERROR_DNS_PARTS_FULL,         /* an answer over TCP in several segments was not kept until its end */
	ERROR_PROCESSES_FULL,
	ERROR_PATHS_FULL,
	ERROR_PATH_TOO_LONG,
	ERROR_TASK_READ,
	ERROR_SOCKET_STORAGE,
	ERROR_SOCKET_WITHOUT_PROCESS,
	ERROR_SOCKET_WITHOUT_OWNER,
	ERROR_SOCKET_LOOKUP,
	ERROR_GATE_FULL,
	ERROR_DEVICES_FULL,
	ERROR_REGISTRATIONS_FULL,
	ERROR_SHARES_FULL,
	ERROR_OWNER_DISAGREEMENT,     /* the socket's storage and its registration name different processes */
	ERROR_SCRIPT_FILE,            /* of a script that was executed, not found: it goes by its interpreter */
	ERROR_LISTENERS_FULL,
	ERROR_ICMP_REQUESTS_FULL,
	ERROR_SENT_WITHOUT_SOCKET,    /* by nobody; TCP of everybody where GRO is on at a veth's host side, and TSO off in the container */
	ERROR_COUNT,
};

enum event_type {
	EVENT_VERDICT = 1,
	EVENT_DNS = 2,      /* trace-dns: a question, or an answer with its code */
	EVENT_LISTEN = 3,
};

/* `events`: RINGBUF. */
struct event {
	__u64 time;
	struct actor actor;
	__u64 name_hash;     /* learned name of the remote address */
	__u64 mask;          /* blocks that allowed it, 0 for a violation */
	__u64 count;         /* packets that this event stands for */
	__u32 workload_id;
	__u32 table_id;
	__u32 binary_id;
	__u32 container_id;
	__u32 parent_tgid;
	__u32 parent_path_id;
	__u32 length;        /* of the packet */
	__u16 ethertype;     /* host order */
	__u16 local_port;    /* network order */
	__u16 remote_port;
	__u16 dns_type;
	__u8 local[ADDRESS_LENGTH];
	__u8 remote[ADDRESS_LENGTH];
	char comm[COMM_MAX];
	__u8 type;           /* enum event_type */
	__u8 verdict;
	__u8 reason;
	__u8 direction;
	__u8 protocol;
	__u8 application;
	__u8 dns_rcode;
	__u8 dns_response;
	__u8 dns_name_length;
	__u8 dns_name[NAME_TEXT_MAX];
	__u8 dns_fault;      /* enum dns_fault, with REASON_DNS_MALFORMED */
	__u8 dns_opcode;
	__u8 padding;
	__u16 dns_offset;    /* byte of the message, or of its segment, at which the fault was seen */
};

/* `limits`: HASH. The last event of a kind, and how many packets have been held back since. */
struct limit_key {
	__u32 workload_id;
	__u32 path_id;
	__u8 remote[ADDRESS_LENGTH];
	__u16 port;          /* the service's: remote for egress, local for ingress */
	__u8 protocol;
	__u8 direction;
	__u8 reason;
	__u8 verdict;
	__u8 padding[2];
	__u64 name_hash;     /* of the question, for DNS verdicts */
};
struct limit {
	__u64 last;
	__u64 suppressed;
};

#endif
