/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Processes, the executables that they run, and what one owner may have of the memory for them. Part of abi.h. */
#ifndef PORTCULLIS_ABI_PROCESSES_H
#define PORTCULLIS_ABI_PROCESSES_H

#define PATH_TEXT_MAX 256   /* with the terminating NUL; longer paths are PROCESS_PATH_UNKNOWN */
#define COMM_MAX 16

/*
 * What one owner may have of the node's memory for processes, for paths that no profile lists, and for sockets that are
 * registered by their addresses (bpf/include/memory/claim.h).
 */
#define PROCESSES_CLAIM 4096
#define PATHS_CLAIM 1024
/* And all owners together of the paths, so that there is room for those that profiles list. */
#define PATHS_CLAIM_ALL 12288
#define CLAIM_OWNER_ALL 0
/* The same for what led to processes: sets of executables. */
#define ANCESTRIES_CLAIM 1024
#define ANCESTRIES_CLAIM_ALL 12288
/* Network namespaces at the gate: a container starts in one, and may make more for itself. */
#define GATED_CLAIM 16
#define REGISTRATIONS_CLAIM 2048
/* Connects that are not answered yet. */
#define CONNECTS_CLAIM 1024
enum claim_kind {
	CLAIM_PROCESSES = 0,
	CLAIM_PATHS = 1,
	CLAIM_GATED = 2,
	CLAIM_REGISTRATIONS = 3,
	CLAIM_ANCESTRIES = 4,
	CLAIM_CONNECTS = 5,
};

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
	PROCESS_MODIFIED = 1,         /* not the image's own file, or not run as that: see process/executable.h */
	PROCESS_DELETED = 2,          /* the file has no name any more; memfd too */
	PROCESS_PATH_UNKNOWN = 4,     /* too long, too deep, or `paths` is full */
	PROCESS_MOUNTED = 8,          /* the file is not on the mount that its root directory is on */
	PROCESS_SCRIPT_MOUNTED = 16,  /* the script's is not */
	PROCESS_LED_BY_ENV = 32,      /* its script begins with #!/usr/bin/env, which is about to execute the interpreter */
	PROCESS_SCRIPT_CHANGED = 64,  /* the script was changed after its container's start (process/container.h) */
	PROCESS_ENTERED = 128,        /* came into its cgroup after it had executed this: what led to it is not the container's */
	PROCESS_FOUND = 256,          /* older than the programs */
};

/*
 * The executables that led to a process, by exec and fork: each once, the first ones first, and scripts beside their
 * interpreters. `ancestries`: HASH -> ancestry id.
 */
#define ANCESTORS_MAX 16
#define ANCESTRY_NONE 0              /* nothing led to it: the first process of a container */
#define ANCESTRY_UNKNOWN 0xffffffffu /* meets no condition */
struct ancestor {
	__u32 path_id;       /* 0: no more */
	__u32 flags;         /* enum process_flag: PROCESS_MODIFIED and PROCESS_MOUNTED, of the file */
};
struct ancestry {
	struct ancestor ancestors[ANCESTORS_MAX];
	__u32 incomplete;    /* 1: there were more, or some whose path is not known */
	__u32 padding;
};

/* `ancestry_sets`: HASH, ancestry id -> */
struct known_ancestry {
	struct ancestry ancestry;
	__u64 owner;         /* see struct claim_key */
};

/* `processes`: HASH, tgid (__u32, initial PID namespace) -> */
struct process {
	__u64 variables;      /* bit per variable that names code to be loaded (process/started.h); all if they were not seen */
	__u64 start_time;     /* group leader's start_boottime (start_time where there is none), ns */
	__u64 cgroup_id;      /* on the cgroup v2 hierarchy */
	__u64 owner;          /* that the entry counts for, see struct claim_key */
	__u64 changed;        /* ns since 1970: when its file was changed last (ctime); 0 on an overlay, where layers tell */
	__u64 script_changed; /* the same of its script */
	__u32 path_id;
	__u32 script_id;      /* the script that its interpreter runs; 0 if it was not executed through a shebang */
	__u32 flags;          /* enum process_flag */
	__u32 netns_inum;     /* at exec or fork */
	__u32 parent_tgid;
	__u32 parent_path_id; /* at fork */
	__u32 lineage;        /* tgid that executed what this process runs: its own, or of who it was forked from */
	__u32 ancestry;       /* of `ancestry_sets`, ANCESTRY_NONE or ANCESTRY_UNKNOWN */
	char comm[COMM_MAX];
};

enum container_flag { CONTAINER_EPHEMERAL = 1 };

/* `containers`: HASH, cgroup v2 id (__u64) -> */
struct container {
	__u64 started;        /* ns since 1970; 0: not known, and nothing counts as changed since */
	__u32 id;             /* of its name, see src/node-agent/enforce/tables/container-ids.ts */
	__u32 flags;          /* enum container_flag */
	__u32 netns_inum;     /* of its workload */
	__u32 padding;
};

#define UID_UNKNOWN 0xffffffffu /* no id: (uid_t)-1 */

/* Who used a socket, as a snapshot: it outlives the process. */
struct actor {
	__u64 start_time;
	__u64 cgroup_id;
	__u32 tgid;
	__u32 path_id;
	__u32 script_id;
	__u32 flags;
	__u32 lineage;
	__u32 ancestry;
	__u32 kuid;          /* effective user id when it used the socket, as the node has it */
	__u32 uid;           /* and as the user namespace of the socket's network namespace has it; UID_UNKNOWN if it has none */
};

#endif
