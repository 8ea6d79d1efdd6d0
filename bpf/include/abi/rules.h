/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Rule tables: what executables may do. Part of abi.h. */
#ifndef PORTCULLIS_ABI_RULES_H
#define PORTCULLIS_ABI_RULES_H

#define NAME_TEXT_MAX 254   /* ".www.example.com" for the longest name, 253 bytes, and one dot */
#define NAME_DOT_IN_LABEL 'A' /* stands in names' texts for a dot that separates no labels */
#define NAME_ZERO 'B'         /* and this for the byte 0; letters of names are lower case */

/*
 * A rule set judges one direction of one binary. It is the union of up to 64 blocks, one per (profile,
 * process entry); a packet is allowed if one block allows it on every layer. Each layer's lookup yields
 * the mask of the blocks that allow it there, and the masks are ANDed.
 */

/* `binaries`: HASH. container_id: see struct container, 0 = any. */
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
	__u64 blocks;                          /* all of them */
	__u64 with_ancestors;                  /* blocks that hold below some executables only */
	__u64 without_ancestors;               /* blocks that do not hold below some executables */
	__u64 with_users;                      /* blocks that hold for some users only */
};

/* `conditions`: HASH. What has to be so of a process for blocks of its rule set to hold. */
enum condition_kind { CONDITION_ANCESTOR = 0, CONDITION_USER = 1 };
struct condition_key {
	__u32 ruleset;
	__u32 kind;   /* enum condition_kind */
	__u32 value;  /* path id; user id */
};
struct condition {
	__u64 met;    /* blocks of with_ancestors, or with_users, that list it */
	__u64 failed; /* blocks of without_ancestors that list it */
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

#endif
