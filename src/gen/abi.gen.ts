/**
 * Generated from bpf/include/abi.h by tools/generate-abi.ts. Do not edit: run `make generate`.
 *
 * Numbers are as the struct has them: where abi.h says network byte order (ports), a field read here holds the
 * bytes swapped. u64 is bigint, arrays of bytes are Buffers, texts are strings, padding is left out.
 */
import type { Codec } from "../node-agent/kernel/codec.ts";
import { readBytes, readText, writeBytes, writeText } from "../node-agent/kernel/codec.ts";

export const PATH_TEXT_MAX = 256;
export const NAME_TEXT_MAX = 254;
export const COMM_MAX = 16;
export const LEARNED_NAMES_MAX = 4;
export const NAME_DOT_IN_LABEL = 65;
export const NAME_ZERO = 66;
export const DNS_PORTS_MAX = 4;
export const EPOCHS = 262144;
export const PROCESSES_CLAIM = 4096;
export const PATHS_CLAIM = 1024;
export const GATED_CLAIM = 16;
export const REGISTRATIONS_CLAIM = 2048;
export const CONNECTS_CLAIM = 1024;
export const PATHS_CLAIM_ALL = 12288;
export const ANCESTRIES_CLAIM = 1024;
export const ANCESTRIES_CLAIM_ALL = 12288;
export const ANCESTORS_MAX = 16;
export const ANCESTRY_NONE = 0;
export const ANCESTRY_UNKNOWN = 4294967295;
export const UID_UNKNOWN = 4294967295;
export const CLAIM_OWNER_ALL = 0;
export const FLOWS_SHARE = 8192;
export const FRAGMENTS_SHARE = 256;
export const DNS_QUERIES_SHARE = 512;
export const DNS_NAMES_SHARE = 1024;
export const LEARNED_SHARE = 1024;
export const LIMITS_SHARE = 512;
export const HARDWARE_ADDRESS_PREFIX = 65535;
export const LAST_LISTENERS_SHARE = 256;
export const DNS_PARTS_SHARE = 64;
export const STREAM_LOCKS = 4096;
export const ICMP_REQUESTS_SHARE = 256;
export const RECORDS_SHARE = 1000;
export const DNS_MESSAGE_MAX = 8192;
export const COUNTERS_SHARE = 256;
export const RESPONSE_BUCKETS = 16;
export const RESPONSE_FIRST_BUCKET = 7;
export const PLACE_KEY_MAX = 64;
export const ADDRESS_LENGTH = 16;
export const PATH_ID_USER = 1073741824;
export const PATH_ID_MODIFIED = 2147483648;
export const SUBJECTS_MAX = 3;
export const ERROR_FILE_MAX = 32;

/** `enum direction` */
export const Direction = {
  EGRESS: 0,
  INGRESS: 1,
} as const;

/** `enum verdict` */
export const Verdict = {
  ALLOWED: 0,
  ALERTED: 1,
  DROPPED: 2,
  COUNTED: 3,
} as const;

/** `enum reason` */
export const Reason = {
  ALLOWED: 0,
  PENDING: 1,
  ETHERTYPE: 2,
  PEER: 3,
  PORT: 4,
  APPLICATION: 5,
  DNS_NAME: 6,
  DNS_MALFORMED: 7,
  FRAGMENT: 8,
  MALFORMED: 9,
  BINARY_UNKNOWN: 10,
  BINARY_MODIFIED: 11,
  UNATTRIBUTED: 12,
  LISTEN: 13,
  ARP_SPOOFING: 14,
  IP_SPOOFING: 15,
  NDP_SPOOFING: 16,
  DNS_SPOOFING: 17,
  CAPACITY: 18,
  ANCESTRY: 19,
  USER: 20,
  COUNT: 21,
} as const;

/** `enum mode_flag` */
export const ModeFlag = {
  ALERT: 1,
  ENFORCE: 2,
  TRACE_DNS: 4,
  LEARN: 8,
} as const;

/** `enum attack_flag` */
export const AttackFlag = {
  ARP_SPOOFING: 1,
  IP_SPOOFING: 2,
  NDP_SPOOFING: 4,
  DNS_SPOOFING: 8,
} as const;

/** `enum application` */
export const Application = {
  DNS: 0,
  HTTP: 1,
  TLS: 2,
  COUNT: 3,
  NONE: 254,
  UNDECIDED: 255,
} as const;

/** `enum ethertype_class` */
export const EthertypeClass = {
  IPV4: 0,
  IPV6: 1,
  ARP: 2,
  COUNT: 3,
} as const;

/** `enum setting_flag` */
export const SettingFlag = {
  REGISTRATIONS: 2,
} as const;

/** `enum workload_flag` */
export const WorkloadFlag = {
  PENDING: 1,
  UNRESTRICTED: 2,
  DEFAULT_ABSENT: 4,
  OWN_ROOTS: 8,
  GROUPS: 16,
  WITHOUT_EPHEMERAL: 32,
  REPORT_ALLOWED: 64,
} as const;

/** `enum veth_flag` */
export const VethFlag = {
  FOUND: 1,
} as const;

/** `enum gate_flag` */
export const GateFlag = {
  CLOSED: 1,
  OPENS_AFTER_TIMEOUT: 2,
} as const;

/** `enum condition_kind` */
export const ConditionKind = {
  ANCESTOR: 0,
  USER: 1,
} as const;

/** `enum claim_kind` */
export const ClaimKind = {
  PROCESSES: 0,
  PATHS: 1,
  GATED: 2,
  REGISTRATIONS: 3,
  ANCESTRIES: 4,
  CONNECTS: 5,
} as const;

/** `enum process_flag` */
export const ProcessFlag = {
  MODIFIED: 1,
  DELETED: 2,
  PATH_UNKNOWN: 4,
  MOUNTED: 8,
  SCRIPT_MOUNTED: 16,
  LED_BY_ENV: 32,
  SCRIPT_CHANGED: 64,
  ENTERED: 128,
  FOUND: 256,
} as const;

/** `enum container_flag` */
export const ContainerFlag = {
  EPHEMERAL: 1,
} as const;

/** `enum socket_flag` */
export const SocketFlag = {
  ACCEPTED: 1,
  FOUND: 2,
  PORT_ASKED: 4,
  SEVERAL_FORMER: 8,
} as const;

/** `enum registration_flag` */
export const RegistrationFlag = {
  SHARED: 1,
} as const;

/** `enum share_kind` */
export const ShareKind = {
  FLOWS: 0,
  FRAGMENTS: 1,
  REFUSED_FRAGMENTS: 2,
  DNS_QUERIES: 3,
  DNS_NAMES: 4,
  LEARNED: 5,
  LIMITS: 6,
  COUNTERS: 7,
  LAST_LISTENERS: 8,
  DNS_PARTS: 9,
  VIOLATION_RECORDS: 10,
  ALLOWED_RECORDS: 11,
  DNS_RECORDS: 12,
  FLOW_RECORDS: 13,
  ICMP_REQUESTS: 14,
  COUNT: 15,
} as const;

/** `enum flow_flag` */
export const FlowFlag = {
  DNS: 1,
  L7_PENDING: 2,
  PAYLOAD_REFUSED: 4,
  COOKIE_KNOWN: 8,
  DNS_SEQUENCE_EGRESS: 16,
  DNS_SEQUENCE_INGRESS: 32,
  ENDED_EGRESS: 64,
  ENDED_INGRESS: 128,
  PREFACED: 256,
} as const;

/** `enum dns_fault` */
export const DnsFault = {
  FAULT_NONE: 0,
  FAULT_HEADER: 1,
  FAULT_OPCODE: 2,
  FAULT_COUNTS: 3,
  FAULT_NAME: 4,
  FAULT_CLASS: 5,
  FAULT_RECORD: 6,
  FAULT_OPTIONS: 7,
  FAULT_PADDING: 8,
  FAULT_TRAILING: 9,
  FAULT_DIRECTION: 10,
  FAULT_CUT: 11,
  FAULT_LENGTH: 12,
  FAULT_COUNT: 13,
} as const;

/** `enum error` */
export const ErrorKind = {
  FLOWS_FULL: 0,
  FRAGMENTS_FULL: 1,
  COUNTERS_FULL: 2,
  VIOLATION_RECORDS_LOST: 3,
  ALLOWED_RECORDS_LOST: 4,
  DNS_RECORDS_LOST: 5,
  FLOW_RECORDS_LOST: 6,
  CONNECTS_FULL: 7,
  LIMITS_FULL: 8,
  PACKET_READ: 9,
  SCRATCH: 10,
  DNS_QUERIES_FULL: 11,
  DNS_NAMES_FULL: 12,
  LEARNED_FULL: 13,
  DNS_NAME_COLLISION: 14,
  DNS_NAME_EVICTED: 15,
  DNS_ANSWERS_TRUNCATED: 16,
  DNS_ADDRESSES_LEFT: 17,
  DNS_CHAIN_LEFT: 18,
  DNS_PARTS_FULL: 19,
  DNS_SEGMENT_AHEAD: 20,
  DNS_STREAM_BUSY: 21,
  PROCESSES_FULL: 22,
  PATHS_FULL: 23,
  PATH_TOO_LONG: 24,
  TASK_READ: 25,
  SOCKET_STORAGE: 26,
  SOCKET_WITHOUT_PROCESS: 27,
  SOCKET_WITHOUT_OWNER: 28,
  SOCKET_LOOKUP: 29,
  GATE_FULL: 30,
  DEVICES_FULL: 31,
  REGISTRATIONS_FULL: 32,
  SHARES_FULL: 33,
  OWNER_DISAGREEMENT: 34,
  SCRIPT_FILE: 35,
  LISTENERS_FULL: 36,
  ICMP_REQUESTS_FULL: 37,
  ANCESTRIES_FULL: 38,
  SENT_WITHOUT_SOCKET: 39,
  COUNT: 40,
} as const;

/** `enum record_kind` */
export const RecordKind = {
  KIND_VIOLATION: 0,
  KIND_ALLOWED: 1,
  KIND_DNS: 2,
  KIND_FLOW: 3,
} as const;

/** `enum record_type` */
export const RecordType = {
  VERDICT: 1,
  MESSAGE_VERDICT: 2,
  DNS: 3,
  LISTEN: 4,
  FLOW: 5,
} as const;

/** `struct settings`, 56 bytes */
export interface Settings {
  fqdnMinTtl: bigint;
  fqdnMaxTtl: bigint;
  fqdnGrace: bigint;
  eventInterval: bigint;
  udpIdle: bigint;
  flags: number;
  dnsPorts: [number, number, number, number];
  hostNetns: number;
}

export const Settings: Codec<Settings> = {
  SIZE: 56,
  encode(value: Settings, buffer: Buffer = Buffer.alloc(56), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.fqdnMinTtl, offset);
    buffer.writeBigUInt64LE(value.fqdnMaxTtl, offset + 8);
    buffer.writeBigUInt64LE(value.fqdnGrace, offset + 16);
    buffer.writeBigUInt64LE(value.eventInterval, offset + 24);
    buffer.writeBigUInt64LE(value.udpIdle, offset + 32);
    buffer.writeUInt32LE(value.flags, offset + 40);
    buffer.writeUInt16LE(value.dnsPorts[0], offset + 44);
    buffer.writeUInt16LE(value.dnsPorts[1], offset + 44 + 2);
    buffer.writeUInt16LE(value.dnsPorts[2], offset + 44 + 4);
    buffer.writeUInt16LE(value.dnsPorts[3], offset + 44 + 6);
    buffer.writeUInt32LE(value.hostNetns, offset + 52);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Settings {
    return {
      fqdnMinTtl: buffer.readBigUInt64LE(offset),
      fqdnMaxTtl: buffer.readBigUInt64LE(offset + 8),
      fqdnGrace: buffer.readBigUInt64LE(offset + 16),
      eventInterval: buffer.readBigUInt64LE(offset + 24),
      udpIdle: buffer.readBigUInt64LE(offset + 32),
      flags: buffer.readUInt32LE(offset + 40),
      dnsPorts: [buffer.readUInt16LE(offset + 44), buffer.readUInt16LE(offset + 44 + 2), buffer.readUInt16LE(offset + 44 + 4), buffer.readUInt16LE(offset + 44 + 6)],
      hostNetns: buffer.readUInt32LE(offset + 52),
    };
  },
};

/** `struct workload`, 40 bytes */
export interface Workload {
  id: number;
  tableId: number;
  flags: number;
  mode: number;
  attacks: number;
  netnsInum: number;
  nsid: number;
  ifindex: number;
  defaultRuleset: [number, number];
}

export const Workload: Codec<Workload> = {
  SIZE: 40,
  encode(value: Workload, buffer: Buffer = Buffer.alloc(40), offset = 0): Buffer {
    buffer.writeUInt32LE(value.id, offset);
    buffer.writeUInt32LE(value.tableId, offset + 4);
    buffer.writeUInt32LE(value.flags, offset + 8);
    buffer.writeUInt32LE(value.mode, offset + 12);
    buffer.writeUInt32LE(value.attacks, offset + 16);
    buffer.writeUInt32LE(value.netnsInum, offset + 20);
    buffer.writeInt32LE(value.nsid, offset + 24);
    buffer.writeUInt32LE(value.ifindex, offset + 28);
    buffer.writeUInt32LE(value.defaultRuleset[0], offset + 32);
    buffer.writeUInt32LE(value.defaultRuleset[1], offset + 32 + 4);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Workload {
    return {
      id: buffer.readUInt32LE(offset),
      tableId: buffer.readUInt32LE(offset + 4),
      flags: buffer.readUInt32LE(offset + 8),
      mode: buffer.readUInt32LE(offset + 12),
      attacks: buffer.readUInt32LE(offset + 16),
      netnsInum: buffer.readUInt32LE(offset + 20),
      nsid: buffer.readInt32LE(offset + 24),
      ifindex: buffer.readUInt32LE(offset + 28),
      defaultRuleset: [buffer.readUInt32LE(offset + 32), buffer.readUInt32LE(offset + 32 + 4)],
    };
  },
};

/** `struct address_key`, 20 bytes */
export interface AddressKey {
  workloadId: number;
  address: Uint8Array;
}

export const AddressKey: Codec<AddressKey> = {
  SIZE: 20,
  encode(value: AddressKey, buffer: Buffer = Buffer.alloc(20), offset = 0): Buffer {
    buffer.writeUInt32LE(value.workloadId, offset);
    writeBytes(buffer, value.address, offset + 4, 16, "AddressKey.address");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): AddressKey {
    return {
      workloadId: buffer.readUInt32LE(offset),
      address: readBytes(buffer, offset + 4, 16),
    };
  },
};

/** `struct device_key`, 8 bytes */
export interface DeviceKey {
  netnsInum: number;
  ifindex: number;
}

export const DeviceKey: Codec<DeviceKey> = {
  SIZE: 8,
  encode(value: DeviceKey, buffer: Buffer = Buffer.alloc(8), offset = 0): Buffer {
    buffer.writeUInt32LE(value.netnsInum, offset);
    buffer.writeUInt32LE(value.ifindex, offset + 4);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): DeviceKey {
    return {
      netnsInum: buffer.readUInt32LE(offset),
      ifindex: buffer.readUInt32LE(offset + 4),
    };
  },
};

/** `struct veth_end`, 24 bytes */
export interface VethEnd {
  changed: bigint;
  peer: DeviceKey;
  flags: number;
}

export const VethEnd: Codec<VethEnd> = {
  SIZE: 24,
  encode(value: VethEnd, buffer: Buffer = Buffer.alloc(24), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.changed, offset);
    DeviceKey.encode(value.peer, buffer, offset + 8);
    buffer.writeUInt32LE(value.flags, offset + 16);
    buffer.fill(0, offset + 20, offset + 24);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): VethEnd {
    return {
      changed: buffer.readBigUInt64LE(offset),
      peer: DeviceKey.decode(buffer, offset + 8),
      flags: buffer.readUInt32LE(offset + 16),
    };
  },
};

/** `struct gate`, 16 bytes */
export interface Gate {
  timeout: bigint;
  flags: number;
  hostNetns: number;
}

export const Gate: Codec<Gate> = {
  SIZE: 16,
  encode(value: Gate, buffer: Buffer = Buffer.alloc(16), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.timeout, offset);
    buffer.writeUInt32LE(value.flags, offset + 8);
    buffer.writeUInt32LE(value.hostNetns, offset + 12);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Gate {
    return {
      timeout: buffer.readBigUInt64LE(offset),
      flags: buffer.readUInt32LE(offset + 8),
      hostNetns: buffer.readUInt32LE(offset + 12),
    };
  },
};

/** `struct gated`, 40 bytes */
export interface Gated {
  netnsCookie: bigint;
  firstSeen: bigint;
  dropped: bigint;
  passed: bigint;
  owner: bigint;
}

export const Gated: Codec<Gated> = {
  SIZE: 40,
  encode(value: Gated, buffer: Buffer = Buffer.alloc(40), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.netnsCookie, offset);
    buffer.writeBigUInt64LE(value.firstSeen, offset + 8);
    buffer.writeBigUInt64LE(value.dropped, offset + 16);
    buffer.writeBigUInt64LE(value.passed, offset + 24);
    buffer.writeBigUInt64LE(value.owner, offset + 32);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Gated {
    return {
      netnsCookie: buffer.readBigUInt64LE(offset),
      firstSeen: buffer.readBigUInt64LE(offset + 8),
      dropped: buffer.readBigUInt64LE(offset + 16),
      passed: buffer.readBigUInt64LE(offset + 24),
      owner: buffer.readBigUInt64LE(offset + 32),
    };
  },
};

/** `struct binary_key`, 12 bytes */
export interface BinaryKey {
  tableId: number;
  pathId: number;
  containerId: number;
}

export const BinaryKey: Codec<BinaryKey> = {
  SIZE: 12,
  encode(value: BinaryKey, buffer: Buffer = Buffer.alloc(12), offset = 0): Buffer {
    buffer.writeUInt32LE(value.tableId, offset);
    buffer.writeUInt32LE(value.pathId, offset + 4);
    buffer.writeUInt32LE(value.containerId, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): BinaryKey {
    return {
      tableId: buffer.readUInt32LE(offset),
      pathId: buffer.readUInt32LE(offset + 4),
      containerId: buffer.readUInt32LE(offset + 8),
    };
  },
};

/** `struct binary`, 12 bytes */
export interface Binary {
  id: number;
  ruleset: [number, number];
}

export const Binary: Codec<Binary> = {
  SIZE: 12,
  encode(value: Binary, buffer: Buffer = Buffer.alloc(12), offset = 0): Buffer {
    buffer.writeUInt32LE(value.id, offset);
    buffer.writeUInt32LE(value.ruleset[0], offset + 4);
    buffer.writeUInt32LE(value.ruleset[1], offset + 4 + 4);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Binary {
    return {
      id: buffer.readUInt32LE(offset),
      ruleset: [buffer.readUInt32LE(offset + 4), buffer.readUInt32LE(offset + 4 + 4)],
    };
  },
};

/** `struct ruleset`, 120 bytes */
export interface Ruleset {
  ethertype: [bigint, bigint, bigint];
  anyApplication: bigint;
  application: [bigint, bigint, bigint];
  askAny: bigint;
  askRecords: bigint;
  fqdn: bigint;
  anyBinary: bigint;
  blocks: bigint;
  withAncestors: bigint;
  withoutAncestors: bigint;
  withUsers: bigint;
}

export const Ruleset: Codec<Ruleset> = {
  SIZE: 120,
  encode(value: Ruleset, buffer: Buffer = Buffer.alloc(120), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.ethertype[0], offset);
    buffer.writeBigUInt64LE(value.ethertype[1], offset + 8);
    buffer.writeBigUInt64LE(value.ethertype[2], offset + 16);
    buffer.writeBigUInt64LE(value.anyApplication, offset + 24);
    buffer.writeBigUInt64LE(value.application[0], offset + 32);
    buffer.writeBigUInt64LE(value.application[1], offset + 32 + 8);
    buffer.writeBigUInt64LE(value.application[2], offset + 32 + 16);
    buffer.writeBigUInt64LE(value.askAny, offset + 56);
    buffer.writeBigUInt64LE(value.askRecords, offset + 64);
    buffer.writeBigUInt64LE(value.fqdn, offset + 72);
    buffer.writeBigUInt64LE(value.anyBinary, offset + 80);
    buffer.writeBigUInt64LE(value.blocks, offset + 88);
    buffer.writeBigUInt64LE(value.withAncestors, offset + 96);
    buffer.writeBigUInt64LE(value.withoutAncestors, offset + 104);
    buffer.writeBigUInt64LE(value.withUsers, offset + 112);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Ruleset {
    return {
      ethertype: [buffer.readBigUInt64LE(offset), buffer.readBigUInt64LE(offset + 8), buffer.readBigUInt64LE(offset + 16)],
      anyApplication: buffer.readBigUInt64LE(offset + 24),
      application: [buffer.readBigUInt64LE(offset + 32), buffer.readBigUInt64LE(offset + 32 + 8), buffer.readBigUInt64LE(offset + 32 + 16)],
      askAny: buffer.readBigUInt64LE(offset + 56),
      askRecords: buffer.readBigUInt64LE(offset + 64),
      fqdn: buffer.readBigUInt64LE(offset + 72),
      anyBinary: buffer.readBigUInt64LE(offset + 80),
      blocks: buffer.readBigUInt64LE(offset + 88),
      withAncestors: buffer.readBigUInt64LE(offset + 96),
      withoutAncestors: buffer.readBigUInt64LE(offset + 104),
      withUsers: buffer.readBigUInt64LE(offset + 112),
    };
  },
};

/** `struct condition_key`, 12 bytes */
export interface ConditionKey {
  ruleset: number;
  kind: number;
  value: number;
}

export const ConditionKey: Codec<ConditionKey> = {
  SIZE: 12,
  encode(value: ConditionKey, buffer: Buffer = Buffer.alloc(12), offset = 0): Buffer {
    buffer.writeUInt32LE(value.ruleset, offset);
    buffer.writeUInt32LE(value.kind, offset + 4);
    buffer.writeUInt32LE(value.value, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): ConditionKey {
    return {
      ruleset: buffer.readUInt32LE(offset),
      kind: buffer.readUInt32LE(offset + 4),
      value: buffer.readUInt32LE(offset + 8),
    };
  },
};

/** `struct condition`, 16 bytes */
export interface Condition {
  met: bigint;
  failed: bigint;
}

export const Condition: Codec<Condition> = {
  SIZE: 16,
  encode(value: Condition, buffer: Buffer = Buffer.alloc(16), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.met, offset);
    buffer.writeBigUInt64LE(value.failed, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Condition {
    return {
      met: buffer.readBigUInt64LE(offset),
      failed: buffer.readBigUInt64LE(offset + 8),
    };
  },
};

/** `struct peer4_key`, 12 bytes */
export interface Peer4Key {
  prefixlen: number;
  ruleset: number;
  address: Uint8Array;
}

export const Peer4Key: Codec<Peer4Key> = {
  SIZE: 12,
  encode(value: Peer4Key, buffer: Buffer = Buffer.alloc(12), offset = 0): Buffer {
    buffer.writeUInt32LE(value.prefixlen, offset);
    buffer.writeUInt32LE(value.ruleset, offset + 4);
    writeBytes(buffer, value.address, offset + 8, 4, "Peer4Key.address");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Peer4Key {
    return {
      prefixlen: buffer.readUInt32LE(offset),
      ruleset: buffer.readUInt32LE(offset + 4),
      address: readBytes(buffer, offset + 8, 4),
    };
  },
};

/** `struct peer6_key`, 24 bytes */
export interface Peer6Key {
  prefixlen: number;
  ruleset: number;
  address: Uint8Array;
}

export const Peer6Key: Codec<Peer6Key> = {
  SIZE: 24,
  encode(value: Peer6Key, buffer: Buffer = Buffer.alloc(24), offset = 0): Buffer {
    buffer.writeUInt32LE(value.prefixlen, offset);
    buffer.writeUInt32LE(value.ruleset, offset + 4);
    writeBytes(buffer, value.address, offset + 8, 16, "Peer6Key.address");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Peer6Key {
    return {
      prefixlen: buffer.readUInt32LE(offset),
      ruleset: buffer.readUInt32LE(offset + 4),
      address: readBytes(buffer, offset + 8, 16),
    };
  },
};

/** `struct port_key`, 12 bytes */
export interface PortKey {
  prefixlen: number;
  ruleset: number;
  protocol: number;
  port: number;
}

export const PortKey: Codec<PortKey> = {
  SIZE: 12,
  encode(value: PortKey, buffer: Buffer = Buffer.alloc(12), offset = 0): Buffer {
    buffer.writeUInt32LE(value.prefixlen, offset);
    buffer.writeUInt32LE(value.ruleset, offset + 4);
    buffer.writeUInt8(value.protocol, offset + 8);
    buffer.writeUInt16LE(value.port, offset + 10);
    buffer.fill(0, offset + 9, offset + 10);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): PortKey {
    return {
      prefixlen: buffer.readUInt32LE(offset),
      ruleset: buffer.readUInt32LE(offset + 4),
      protocol: buffer.readUInt8(offset + 8),
      port: buffer.readUInt16LE(offset + 10),
    };
  },
};

/** `struct name_key`, 260 bytes */
export interface NameKey {
  prefixlen: number;
  ruleset: number;
  text: string;
}

export const NameKey: Codec<NameKey> = {
  SIZE: 260,
  encode(value: NameKey, buffer: Buffer = Buffer.alloc(260), offset = 0): Buffer {
    buffer.writeUInt32LE(value.prefixlen, offset);
    buffer.writeUInt16LE(value.ruleset, offset + 4);
    writeText(buffer, value.text, offset + 6, 254, "NameKey.text");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): NameKey {
    return {
      prefixlen: buffer.readUInt32LE(offset),
      ruleset: buffer.readUInt16LE(offset + 4),
      text: readText(buffer, offset + 6, 254),
    };
  },
};

/** `struct name_rule`, 40 bytes */
export interface NameRule {
  exactAsk: bigint;
  exactConnect: bigint;
  belowAsk: bigint;
  belowConnect: bigint;
  length: number;
}

export const NameRule: Codec<NameRule> = {
  SIZE: 40,
  encode(value: NameRule, buffer: Buffer = Buffer.alloc(40), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.exactAsk, offset);
    buffer.writeBigUInt64LE(value.exactConnect, offset + 8);
    buffer.writeBigUInt64LE(value.belowAsk, offset + 16);
    buffer.writeBigUInt64LE(value.belowConnect, offset + 24);
    buffer.writeUInt32LE(value.length, offset + 32);
    buffer.fill(0, offset + 36, offset + 40);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): NameRule {
    return {
      exactAsk: buffer.readBigUInt64LE(offset),
      exactConnect: buffer.readBigUInt64LE(offset + 8),
      belowAsk: buffer.readBigUInt64LE(offset + 16),
      belowConnect: buffer.readBigUInt64LE(offset + 24),
      length: buffer.readUInt32LE(offset + 32),
    };
  },
};

/** `struct claim_key`, 16 bytes */
export interface ClaimKey {
  owner: bigint;
  kind: number;
}

export const ClaimKey: Codec<ClaimKey> = {
  SIZE: 16,
  encode(value: ClaimKey, buffer: Buffer = Buffer.alloc(16), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.owner, offset);
    buffer.writeUInt32LE(value.kind, offset + 8);
    buffer.fill(0, offset + 12, offset + 16);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): ClaimKey {
    return {
      owner: buffer.readBigUInt64LE(offset),
      kind: buffer.readUInt32LE(offset + 8),
    };
  },
};

/** `struct claim`, 16 bytes */
export interface Claim {
  count: bigint;
  refused: bigint;
}

export const Claim: Codec<Claim> = {
  SIZE: 16,
  encode(value: Claim, buffer: Buffer = Buffer.alloc(16), offset = 0): Buffer {
    buffer.writeBigInt64LE(value.count, offset);
    buffer.writeBigUInt64LE(value.refused, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Claim {
    return {
      count: buffer.readBigInt64LE(offset),
      refused: buffer.readBigUInt64LE(offset + 8),
    };
  },
};

/** `struct path_text`, 256 bytes */
export interface PathText {
  text: string;
}

export const PathText: Codec<PathText> = {
  SIZE: 256,
  encode(value: PathText, buffer: Buffer = Buffer.alloc(256), offset = 0): Buffer {
    writeText(buffer, value.text, offset, 256, "PathText.text");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): PathText {
    return {
      text: readText(buffer, offset, 256),
    };
  },
};

/** `struct named_path`, 264 bytes */
export interface NamedPath {
  text: string;
  owner: bigint;
}

export const NamedPath: Codec<NamedPath> = {
  SIZE: 264,
  encode(value: NamedPath, buffer: Buffer = Buffer.alloc(264), offset = 0): Buffer {
    writeText(buffer, value.text, offset, 256, "NamedPath.text");
    buffer.writeBigUInt64LE(value.owner, offset + 256);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): NamedPath {
    return {
      text: readText(buffer, offset, 256),
      owner: buffer.readBigUInt64LE(offset + 256),
    };
  },
};

/** `struct ancestor`, 8 bytes */
export interface Ancestor {
  pathId: number;
  flags: number;
}

export const Ancestor: Codec<Ancestor> = {
  SIZE: 8,
  encode(value: Ancestor, buffer: Buffer = Buffer.alloc(8), offset = 0): Buffer {
    buffer.writeUInt32LE(value.pathId, offset);
    buffer.writeUInt32LE(value.flags, offset + 4);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Ancestor {
    return {
      pathId: buffer.readUInt32LE(offset),
      flags: buffer.readUInt32LE(offset + 4),
    };
  },
};

/** `struct ancestry`, 136 bytes */
export interface Ancestry {
  ancestors: [Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor, Ancestor];
  incomplete: number;
}

export const Ancestry: Codec<Ancestry> = {
  SIZE: 136,
  encode(value: Ancestry, buffer: Buffer = Buffer.alloc(136), offset = 0): Buffer {
    Ancestor.encode(value.ancestors[0], buffer, offset);
    Ancestor.encode(value.ancestors[1], buffer, offset + 8);
    Ancestor.encode(value.ancestors[2], buffer, offset + 16);
    Ancestor.encode(value.ancestors[3], buffer, offset + 24);
    Ancestor.encode(value.ancestors[4], buffer, offset + 32);
    Ancestor.encode(value.ancestors[5], buffer, offset + 40);
    Ancestor.encode(value.ancestors[6], buffer, offset + 48);
    Ancestor.encode(value.ancestors[7], buffer, offset + 56);
    Ancestor.encode(value.ancestors[8], buffer, offset + 64);
    Ancestor.encode(value.ancestors[9], buffer, offset + 72);
    Ancestor.encode(value.ancestors[10], buffer, offset + 80);
    Ancestor.encode(value.ancestors[11], buffer, offset + 88);
    Ancestor.encode(value.ancestors[12], buffer, offset + 96);
    Ancestor.encode(value.ancestors[13], buffer, offset + 104);
    Ancestor.encode(value.ancestors[14], buffer, offset + 112);
    Ancestor.encode(value.ancestors[15], buffer, offset + 120);
    buffer.writeUInt32LE(value.incomplete, offset + 128);
    buffer.fill(0, offset + 132, offset + 136);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Ancestry {
    return {
      ancestors: [Ancestor.decode(buffer, offset), Ancestor.decode(buffer, offset + 8), Ancestor.decode(buffer, offset + 16), Ancestor.decode(buffer, offset + 24), Ancestor.decode(buffer, offset + 32), Ancestor.decode(buffer, offset + 40), Ancestor.decode(buffer, offset + 48), Ancestor.decode(buffer, offset + 56), Ancestor.decode(buffer, offset + 64), Ancestor.decode(buffer, offset + 72), Ancestor.decode(buffer, offset + 80), Ancestor.decode(buffer, offset + 88), Ancestor.decode(buffer, offset + 96), Ancestor.decode(buffer, offset + 104), Ancestor.decode(buffer, offset + 112), Ancestor.decode(buffer, offset + 120)],
      incomplete: buffer.readUInt32LE(offset + 128),
    };
  },
};

/** `struct known_ancestry`, 144 bytes */
export interface KnownAncestry {
  ancestry: Ancestry;
  owner: bigint;
}

export const KnownAncestry: Codec<KnownAncestry> = {
  SIZE: 144,
  encode(value: KnownAncestry, buffer: Buffer = Buffer.alloc(144), offset = 0): Buffer {
    Ancestry.encode(value.ancestry, buffer, offset);
    buffer.writeBigUInt64LE(value.owner, offset + 136);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): KnownAncestry {
    return {
      ancestry: Ancestry.decode(buffer, offset),
      owner: buffer.readBigUInt64LE(offset + 136),
    };
  },
};

/** `struct process`, 96 bytes */
export interface Process {
  variables: bigint;
  startTime: bigint;
  cgroupId: bigint;
  owner: bigint;
  changed: bigint;
  scriptChanged: bigint;
  pathId: number;
  scriptId: number;
  flags: number;
  netnsInum: number;
  parentTgid: number;
  parentPathId: number;
  lineage: number;
  ancestry: number;
  comm: string;
}

export const Process: Codec<Process> = {
  SIZE: 96,
  encode(value: Process, buffer: Buffer = Buffer.alloc(96), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.variables, offset);
    buffer.writeBigUInt64LE(value.startTime, offset + 8);
    buffer.writeBigUInt64LE(value.cgroupId, offset + 16);
    buffer.writeBigUInt64LE(value.owner, offset + 24);
    buffer.writeBigUInt64LE(value.changed, offset + 32);
    buffer.writeBigUInt64LE(value.scriptChanged, offset + 40);
    buffer.writeUInt32LE(value.pathId, offset + 48);
    buffer.writeUInt32LE(value.scriptId, offset + 52);
    buffer.writeUInt32LE(value.flags, offset + 56);
    buffer.writeUInt32LE(value.netnsInum, offset + 60);
    buffer.writeUInt32LE(value.parentTgid, offset + 64);
    buffer.writeUInt32LE(value.parentPathId, offset + 68);
    buffer.writeUInt32LE(value.lineage, offset + 72);
    buffer.writeUInt32LE(value.ancestry, offset + 76);
    writeText(buffer, value.comm, offset + 80, 16, "Process.comm");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Process {
    return {
      variables: buffer.readBigUInt64LE(offset),
      startTime: buffer.readBigUInt64LE(offset + 8),
      cgroupId: buffer.readBigUInt64LE(offset + 16),
      owner: buffer.readBigUInt64LE(offset + 24),
      changed: buffer.readBigUInt64LE(offset + 32),
      scriptChanged: buffer.readBigUInt64LE(offset + 40),
      pathId: buffer.readUInt32LE(offset + 48),
      scriptId: buffer.readUInt32LE(offset + 52),
      flags: buffer.readUInt32LE(offset + 56),
      netnsInum: buffer.readUInt32LE(offset + 60),
      parentTgid: buffer.readUInt32LE(offset + 64),
      parentPathId: buffer.readUInt32LE(offset + 68),
      lineage: buffer.readUInt32LE(offset + 72),
      ancestry: buffer.readUInt32LE(offset + 76),
      comm: readText(buffer, offset + 80, 16),
    };
  },
};

/** `struct container`, 24 bytes */
export interface Container {
  started: bigint;
  id: number;
  flags: number;
  netnsInum: number;
}

export const Container: Codec<Container> = {
  SIZE: 24,
  encode(value: Container, buffer: Buffer = Buffer.alloc(24), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.started, offset);
    buffer.writeUInt32LE(value.id, offset + 8);
    buffer.writeUInt32LE(value.flags, offset + 12);
    buffer.writeUInt32LE(value.netnsInum, offset + 16);
    buffer.fill(0, offset + 20, offset + 24);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Container {
    return {
      started: buffer.readBigUInt64LE(offset),
      id: buffer.readUInt32LE(offset + 8),
      flags: buffer.readUInt32LE(offset + 12),
      netnsInum: buffer.readUInt32LE(offset + 16),
    };
  },
};

/** `struct actor`, 48 bytes */
export interface Actor {
  startTime: bigint;
  cgroupId: bigint;
  tgid: number;
  pathId: number;
  scriptId: number;
  flags: number;
  lineage: number;
  ancestry: number;
  kuid: number;
  uid: number;
}

export const Actor: Codec<Actor> = {
  SIZE: 48,
  encode(value: Actor, buffer: Buffer = Buffer.alloc(48), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.startTime, offset);
    buffer.writeBigUInt64LE(value.cgroupId, offset + 8);
    buffer.writeUInt32LE(value.tgid, offset + 16);
    buffer.writeUInt32LE(value.pathId, offset + 20);
    buffer.writeUInt32LE(value.scriptId, offset + 24);
    buffer.writeUInt32LE(value.flags, offset + 28);
    buffer.writeUInt32LE(value.lineage, offset + 32);
    buffer.writeUInt32LE(value.ancestry, offset + 36);
    buffer.writeUInt32LE(value.kuid, offset + 40);
    buffer.writeUInt32LE(value.uid, offset + 44);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Actor {
    return {
      startTime: buffer.readBigUInt64LE(offset),
      cgroupId: buffer.readBigUInt64LE(offset + 8),
      tgid: buffer.readUInt32LE(offset + 16),
      pathId: buffer.readUInt32LE(offset + 20),
      scriptId: buffer.readUInt32LE(offset + 24),
      flags: buffer.readUInt32LE(offset + 28),
      lineage: buffer.readUInt32LE(offset + 32),
      ancestry: buffer.readUInt32LE(offset + 36),
      kuid: buffer.readUInt32LE(offset + 40),
      uid: buffer.readUInt32LE(offset + 44),
    };
  },
};

/** `struct socket_owner`, 184 bytes */
export interface SocketOwner {
  creator: Actor;
  user: Actor;
  former: Actor;
  formerUntil: bigint;
  epoch: bigint;
  connected: bigint;
  netnsCookie: bigint;
  flags: number;
  netnsInum: number;
}

export const SocketOwner: Codec<SocketOwner> = {
  SIZE: 184,
  encode(value: SocketOwner, buffer: Buffer = Buffer.alloc(184), offset = 0): Buffer {
    Actor.encode(value.creator, buffer, offset);
    Actor.encode(value.user, buffer, offset + 48);
    Actor.encode(value.former, buffer, offset + 96);
    buffer.writeBigUInt64LE(value.formerUntil, offset + 144);
    buffer.writeBigUInt64LE(value.epoch, offset + 152);
    buffer.writeBigUInt64LE(value.connected, offset + 160);
    buffer.writeBigUInt64LE(value.netnsCookie, offset + 168);
    buffer.writeUInt32LE(value.flags, offset + 176);
    buffer.writeUInt32LE(value.netnsInum, offset + 180);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): SocketOwner {
    return {
      creator: Actor.decode(buffer, offset),
      user: Actor.decode(buffer, offset + 48),
      former: Actor.decode(buffer, offset + 96),
      formerUntil: buffer.readBigUInt64LE(offset + 144),
      epoch: buffer.readBigUInt64LE(offset + 152),
      connected: buffer.readBigUInt64LE(offset + 160),
      netnsCookie: buffer.readBigUInt64LE(offset + 168),
      flags: buffer.readUInt32LE(offset + 176),
      netnsInum: buffer.readUInt32LE(offset + 180),
    };
  },
};

/** `struct registration_key`, 44 bytes */
export interface RegistrationKey {
  netnsInum: number;
  protocol: number;
  raw: number;
  local: Uint8Array;
  remote: Uint8Array;
  localPort: number;
  remotePort: number;
}

export const RegistrationKey: Codec<RegistrationKey> = {
  SIZE: 44,
  encode(value: RegistrationKey, buffer: Buffer = Buffer.alloc(44), offset = 0): Buffer {
    buffer.writeUInt32LE(value.netnsInum, offset);
    buffer.writeUInt8(value.protocol, offset + 4);
    buffer.writeUInt8(value.raw, offset + 5);
    writeBytes(buffer, value.local, offset + 8, 16, "RegistrationKey.local");
    writeBytes(buffer, value.remote, offset + 24, 16, "RegistrationKey.remote");
    buffer.writeUInt16LE(value.localPort, offset + 40);
    buffer.writeUInt16LE(value.remotePort, offset + 42);
    buffer.fill(0, offset + 6, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): RegistrationKey {
    return {
      netnsInum: buffer.readUInt32LE(offset),
      protocol: buffer.readUInt8(offset + 4),
      raw: buffer.readUInt8(offset + 5),
      local: readBytes(buffer, offset + 8, 16),
      remote: readBytes(buffer, offset + 24, 16),
      localPort: buffer.readUInt16LE(offset + 40),
      remotePort: buffer.readUInt16LE(offset + 42),
    };
  },
};

/** `struct registration`, 72 bytes */
export interface Registration {
  actor: Actor;
  time: bigint;
  socket: bigint;
  flags: number;
}

export const Registration: Codec<Registration> = {
  SIZE: 72,
  encode(value: Registration, buffer: Buffer = Buffer.alloc(72), offset = 0): Buffer {
    Actor.encode(value.actor, buffer, offset);
    buffer.writeBigUInt64LE(value.time, offset + 48);
    buffer.writeBigUInt64LE(value.socket, offset + 56);
    buffer.writeUInt32LE(value.flags, offset + 64);
    buffer.fill(0, offset + 68, offset + 72);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Registration {
    return {
      actor: Actor.decode(buffer, offset),
      time: buffer.readBigUInt64LE(offset + 48),
      socket: buffer.readBigUInt64LE(offset + 56),
      flags: buffer.readUInt32LE(offset + 64),
    };
  },
};

/** `struct registered_socket`, 56 bytes */
export interface RegisteredSocket {
  key: RegistrationKey;
  owner: bigint;
}

export const RegisteredSocket: Codec<RegisteredSocket> = {
  SIZE: 56,
  encode(value: RegisteredSocket, buffer: Buffer = Buffer.alloc(56), offset = 0): Buffer {
    RegistrationKey.encode(value.key, buffer, offset);
    buffer.writeBigUInt64LE(value.owner, offset + 48);
    buffer.fill(0, offset + 44, offset + 48);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): RegisteredSocket {
    return {
      key: RegistrationKey.decode(buffer, offset),
      owner: buffer.readBigUInt64LE(offset + 48),
    };
  },
};

/** `struct last_listener_key`, 8 bytes */
export interface LastListenerKey {
  workloadId: number;
  port: number;
  protocol: number;
}

export const LastListenerKey: Codec<LastListenerKey> = {
  SIZE: 8,
  encode(value: LastListenerKey, buffer: Buffer = Buffer.alloc(8), offset = 0): Buffer {
    buffer.writeUInt32LE(value.workloadId, offset);
    buffer.writeUInt16LE(value.port, offset + 4);
    buffer.writeUInt8(value.protocol, offset + 6);
    buffer.fill(0, offset + 7, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): LastListenerKey {
    return {
      workloadId: buffer.readUInt32LE(offset),
      port: buffer.readUInt16LE(offset + 4),
      protocol: buffer.readUInt8(offset + 6),
    };
  },
};

/** `struct share_key`, 8 bytes */
export interface ShareKey {
  workloadId: number;
  kind: number;
}

export const ShareKey: Codec<ShareKey> = {
  SIZE: 8,
  encode(value: ShareKey, buffer: Buffer = Buffer.alloc(8), offset = 0): Buffer {
    buffer.writeUInt32LE(value.workloadId, offset);
    buffer.writeUInt32LE(value.kind, offset + 4);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): ShareKey {
    return {
      workloadId: buffer.readUInt32LE(offset),
      kind: buffer.readUInt32LE(offset + 4),
    };
  },
};

/** `struct share`, 32 bytes */
export interface Share {
  next: number;
  used: number;
  lost: bigint;
  since: bigint;
}

export const Share: Codec<Share> = {
  SIZE: 32,
  encode(value: Share, buffer: Buffer = Buffer.alloc(32), offset = 0): Buffer {
    buffer.writeUInt32LE(value.next, offset + 4);
    buffer.writeUInt32LE(value.used, offset + 8);
    buffer.writeBigUInt64LE(value.lost, offset + 16);
    buffer.writeBigUInt64LE(value.since, offset + 24);
    buffer.fill(0, offset, offset + 4);
    buffer.fill(0, offset + 12, offset + 16);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Share {
    return {
      next: buffer.readUInt32LE(offset + 4),
      used: buffer.readUInt32LE(offset + 8),
      lost: buffer.readBigUInt64LE(offset + 16),
      since: buffer.readBigUInt64LE(offset + 24),
    };
  },
};

/** `struct place_key`, 8 bytes */
export interface PlaceKey {
  workloadId: number;
  kind: number;
  position: number;
}

export const PlaceKey: Codec<PlaceKey> = {
  SIZE: 8,
  encode(value: PlaceKey, buffer: Buffer = Buffer.alloc(8), offset = 0): Buffer {
    buffer.writeUInt32LE(value.workloadId, offset);
    buffer.writeUInt16LE(value.kind, offset + 4);
    buffer.writeUInt16LE(value.position, offset + 6);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): PlaceKey {
    return {
      workloadId: buffer.readUInt32LE(offset),
      kind: buffer.readUInt16LE(offset + 4),
      position: buffer.readUInt16LE(offset + 6),
    };
  },
};

/** `struct place`, 64 bytes */
export interface Place {
  key: Uint8Array;
}

export const Place: Codec<Place> = {
  SIZE: 64,
  encode(value: Place, buffer: Buffer = Buffer.alloc(64), offset = 0): Buffer {
    writeBytes(buffer, value.key, offset, 64, "Place.key");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Place {
    return {
      key: readBytes(buffer, offset, 64),
    };
  },
};

/** `struct flow_key`, 44 bytes */
export interface FlowKey {
  workloadId: number;
  protocol: number;
  local: Uint8Array;
  remote: Uint8Array;
  localPort: number;
  remotePort: number;
}

export const FlowKey: Codec<FlowKey> = {
  SIZE: 44,
  encode(value: FlowKey, buffer: Buffer = Buffer.alloc(44), offset = 0): Buffer {
    buffer.writeUInt32LE(value.workloadId, offset);
    buffer.writeUInt8(value.protocol, offset + 4);
    writeBytes(buffer, value.local, offset + 8, 16, "FlowKey.local");
    writeBytes(buffer, value.remote, offset + 24, 16, "FlowKey.remote");
    buffer.writeUInt16LE(value.localPort, offset + 40);
    buffer.writeUInt16LE(value.remotePort, offset + 42);
    buffer.fill(0, offset + 5, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): FlowKey {
    return {
      workloadId: buffer.readUInt32LE(offset),
      protocol: buffer.readUInt8(offset + 4),
      local: readBytes(buffer, offset + 8, 16),
      remote: readBytes(buffer, offset + 24, 16),
      localPort: buffer.readUInt16LE(offset + 40),
      remotePort: buffer.readUInt16LE(offset + 42),
    };
  },
};

/** `struct subject`, 40 bytes */
export interface Subject {
  pathId: number;
  containerId: number;
  ruleset: number;
  binaryId: number;
  ancestry: number;
  uid: number;
  unmet: number;
  mask: bigint;
}

export const Subject: Codec<Subject> = {
  SIZE: 40,
  encode(value: Subject, buffer: Buffer = Buffer.alloc(40), offset = 0): Buffer {
    buffer.writeUInt32LE(value.pathId, offset);
    buffer.writeUInt32LE(value.containerId, offset + 4);
    buffer.writeUInt32LE(value.ruleset, offset + 8);
    buffer.writeUInt32LE(value.binaryId, offset + 12);
    buffer.writeUInt32LE(value.ancestry, offset + 16);
    buffer.writeUInt32LE(value.uid, offset + 20);
    buffer.writeUInt32LE(value.unmet, offset + 24);
    buffer.writeBigUInt64LE(value.mask, offset + 32);
    buffer.fill(0, offset + 28, offset + 32);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Subject {
    return {
      pathId: buffer.readUInt32LE(offset),
      containerId: buffer.readUInt32LE(offset + 4),
      ruleset: buffer.readUInt32LE(offset + 8),
      binaryId: buffer.readUInt32LE(offset + 12),
      ancestry: buffer.readUInt32LE(offset + 16),
      uid: buffer.readUInt32LE(offset + 20),
      unmet: buffer.readUInt32LE(offset + 24),
      mask: buffer.readBigUInt64LE(offset + 32),
    };
  },
};

/** `struct flow_count`, 64 bytes */
export interface FlowCount {
  packets: bigint;
  bytes: bigint;
  firstPayload: bigint;
  tcpFlags: number;
}

export const FlowCount: Codec<FlowCount> = {
  SIZE: 64,
  encode(value: FlowCount, buffer: Buffer = Buffer.alloc(64), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.packets, offset);
    buffer.writeBigUInt64LE(value.bytes, offset + 8);
    buffer.writeBigUInt64LE(value.firstPayload, offset + 16);
    buffer.writeUInt32LE(value.tcpFlags, offset + 24);
    buffer.fill(0, offset + 28, offset + 32);
    buffer.fill(0, offset + 32, offset + 64);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): FlowCount {
    return {
      packets: buffer.readBigUInt64LE(offset),
      bytes: buffer.readBigUInt64LE(offset + 8),
      firstPayload: buffer.readBigUInt64LE(offset + 16),
      tcpFlags: buffer.readUInt32LE(offset + 24),
    };
  },
};

/** `struct flow_response`, 96 bytes */
export interface FlowResponse {
  asked: bigint;
  sum: bigint;
  longest: bigint;
  count: number;
  askedTick: number;
  histogram: [number, number, number, number, number, number, number, number, number, number, number, number, number, number, number, number];
}

export const FlowResponse: Codec<FlowResponse> = {
  SIZE: 96,
  encode(value: FlowResponse, buffer: Buffer = Buffer.alloc(96), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.asked, offset);
    buffer.writeBigUInt64LE(value.sum, offset + 8);
    buffer.writeBigUInt64LE(value.longest, offset + 16);
    buffer.writeUInt32LE(value.count, offset + 24);
    buffer.writeUInt32LE(value.askedTick, offset + 28);
    buffer.writeUInt32LE(value.histogram[0], offset + 32);
    buffer.writeUInt32LE(value.histogram[1], offset + 32 + 4);
    buffer.writeUInt32LE(value.histogram[2], offset + 32 + 8);
    buffer.writeUInt32LE(value.histogram[3], offset + 32 + 12);
    buffer.writeUInt32LE(value.histogram[4], offset + 32 + 16);
    buffer.writeUInt32LE(value.histogram[5], offset + 32 + 20);
    buffer.writeUInt32LE(value.histogram[6], offset + 32 + 24);
    buffer.writeUInt32LE(value.histogram[7], offset + 32 + 28);
    buffer.writeUInt32LE(value.histogram[8], offset + 32 + 32);
    buffer.writeUInt32LE(value.histogram[9], offset + 32 + 36);
    buffer.writeUInt32LE(value.histogram[10], offset + 32 + 40);
    buffer.writeUInt32LE(value.histogram[11], offset + 32 + 44);
    buffer.writeUInt32LE(value.histogram[12], offset + 32 + 48);
    buffer.writeUInt32LE(value.histogram[13], offset + 32 + 52);
    buffer.writeUInt32LE(value.histogram[14], offset + 32 + 56);
    buffer.writeUInt32LE(value.histogram[15], offset + 32 + 60);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): FlowResponse {
    return {
      asked: buffer.readBigUInt64LE(offset),
      sum: buffer.readBigUInt64LE(offset + 8),
      longest: buffer.readBigUInt64LE(offset + 16),
      count: buffer.readUInt32LE(offset + 24),
      askedTick: buffer.readUInt32LE(offset + 28),
      histogram: [buffer.readUInt32LE(offset + 32), buffer.readUInt32LE(offset + 32 + 4), buffer.readUInt32LE(offset + 32 + 8), buffer.readUInt32LE(offset + 32 + 12), buffer.readUInt32LE(offset + 32 + 16), buffer.readUInt32LE(offset + 32 + 20), buffer.readUInt32LE(offset + 32 + 24), buffer.readUInt32LE(offset + 32 + 28), buffer.readUInt32LE(offset + 32 + 32), buffer.readUInt32LE(offset + 32 + 36), buffer.readUInt32LE(offset + 32 + 40), buffer.readUInt32LE(offset + 32 + 44), buffer.readUInt32LE(offset + 32 + 48), buffer.readUInt32LE(offset + 32 + 52), buffer.readUInt32LE(offset + 32 + 56), buffer.readUInt32LE(offset + 32 + 60)],
    };
  },
};

/** `struct flow_tcp`, 40 bytes */
export interface FlowTcp {
  handshake: bigint;
  rttLeast: number;
  rttSmoothed: number;
  retransmits: number;
  lost: number;
  outOfOrder: number;
  closedFrom: number;
  shutdown: number;
  error: number;
  refused: number;
  isn: number;
  unreachable: number;
}

export const FlowTcp: Codec<FlowTcp> = {
  SIZE: 40,
  encode(value: FlowTcp, buffer: Buffer = Buffer.alloc(40), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.handshake, offset);
    buffer.writeUInt32LE(value.rttLeast, offset + 8);
    buffer.writeUInt32LE(value.rttSmoothed, offset + 12);
    buffer.writeUInt32LE(value.retransmits, offset + 16);
    buffer.writeUInt32LE(value.lost, offset + 20);
    buffer.writeUInt32LE(value.outOfOrder, offset + 24);
    buffer.writeUInt8(value.closedFrom, offset + 28);
    buffer.writeUInt8(value.shutdown, offset + 29);
    buffer.writeUInt8(value.error, offset + 30);
    buffer.writeUInt8(value.refused, offset + 31);
    buffer.writeUInt32LE(value.isn, offset + 32);
    buffer.writeUInt8(value.unreachable, offset + 36);
    buffer.fill(0, offset + 37, offset + 40);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): FlowTcp {
    return {
      handshake: buffer.readBigUInt64LE(offset),
      rttLeast: buffer.readUInt32LE(offset + 8),
      rttSmoothed: buffer.readUInt32LE(offset + 12),
      retransmits: buffer.readUInt32LE(offset + 16),
      lost: buffer.readUInt32LE(offset + 20),
      outOfOrder: buffer.readUInt32LE(offset + 24),
      closedFrom: buffer.readUInt8(offset + 28),
      shutdown: buffer.readUInt8(offset + 29),
      error: buffer.readUInt8(offset + 30),
      refused: buffer.readUInt8(offset + 31),
      isn: buffer.readUInt32LE(offset + 32),
      unreachable: buffer.readUInt8(offset + 36),
    };
  },
};

/** `struct connect`, 72 bytes */
export interface Connect {
  actor: Actor;
  began: bigint;
  owner: bigint;
  refused: number;
}

export const Connect: Codec<Connect> = {
  SIZE: 72,
  encode(value: Connect, buffer: Buffer = Buffer.alloc(72), offset = 0): Buffer {
    Actor.encode(value.actor, buffer, offset);
    buffer.writeBigUInt64LE(value.began, offset + 48);
    buffer.writeBigUInt64LE(value.owner, offset + 56);
    buffer.writeUInt32LE(value.refused, offset + 64);
    buffer.fill(0, offset + 68, offset + 72);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Connect {
    return {
      actor: Actor.decode(buffer, offset),
      began: buffer.readBigUInt64LE(offset + 48),
      owner: buffer.readBigUInt64LE(offset + 56),
      refused: buffer.readUInt32LE(offset + 64),
    };
  },
};

/** `struct flow`, 512 bytes */
export interface Flow {
  counts: [FlowCount, FlowCount];
  began: bigint;
  counted: bigint;
  countedTick: number;
  tcp: FlowTcp;
  response: FlowResponse;
  cookie: bigint;
  lastSeen: bigint;
  epoch: bigint;
  nameHash: bigint;
  allowedSince: bigint;
  startTime: bigint;
  cgroupId: bigint;
  subjects: [Subject, Subject, Subject];
  tableId: number;
  tgid: number;
  dnsNext: [number, number];
  subjectCount: number;
  direction: number;
  reason: number;
  application: number;
  flags: number;
  dnsLength: [number, number];
  dnsHeld: [number, number];
  dnsPrefix: Uint8Array;
  dnsAhead: Uint8Array;
  tick: number;
  lineage: number;
  used: number;
}

export const Flow: Codec<Flow> = {
  SIZE: 512,
  encode(value: Flow, buffer: Buffer = Buffer.alloc(512), offset = 0): Buffer {
    FlowCount.encode(value.counts[0], buffer, offset);
    FlowCount.encode(value.counts[1], buffer, offset + 64);
    buffer.writeBigUInt64LE(value.began, offset + 128);
    buffer.writeBigUInt64LE(value.counted, offset + 136);
    buffer.writeUInt32LE(value.countedTick, offset + 144);
    FlowTcp.encode(value.tcp, buffer, offset + 152);
    FlowResponse.encode(value.response, buffer, offset + 192);
    buffer.writeBigUInt64LE(value.cookie, offset + 288);
    buffer.writeBigUInt64LE(value.lastSeen, offset + 296);
    buffer.writeBigUInt64LE(value.epoch, offset + 304);
    buffer.writeBigUInt64LE(value.nameHash, offset + 312);
    buffer.writeBigUInt64LE(value.allowedSince, offset + 320);
    buffer.writeBigUInt64LE(value.startTime, offset + 328);
    buffer.writeBigUInt64LE(value.cgroupId, offset + 336);
    Subject.encode(value.subjects[0], buffer, offset + 344);
    Subject.encode(value.subjects[1], buffer, offset + 344 + 40);
    Subject.encode(value.subjects[2], buffer, offset + 344 + 80);
    buffer.writeUInt32LE(value.tableId, offset + 464);
    buffer.writeUInt32LE(value.tgid, offset + 468);
    buffer.writeUInt32LE(value.dnsNext[0], offset + 472);
    buffer.writeUInt32LE(value.dnsNext[1], offset + 472 + 4);
    buffer.writeUInt8(value.subjectCount, offset + 480);
    buffer.writeUInt8(value.direction, offset + 481);
    buffer.writeUInt8(value.reason, offset + 482);
    buffer.writeUInt8(value.application, offset + 483);
    buffer.writeUInt32LE(value.flags, offset + 484);
    buffer.writeUInt16LE(value.dnsLength[0], offset + 488);
    buffer.writeUInt16LE(value.dnsLength[1], offset + 488 + 2);
    buffer.writeUInt16LE(value.dnsHeld[0], offset + 492);
    buffer.writeUInt16LE(value.dnsHeld[1], offset + 492 + 2);
    writeBytes(buffer, value.dnsPrefix, offset + 496, 2, "Flow.dnsPrefix");
    writeBytes(buffer, value.dnsAhead, offset + 498, 2, "Flow.dnsAhead");
    buffer.writeUInt32LE(value.tick, offset + 500);
    buffer.writeUInt32LE(value.lineage, offset + 504);
    buffer.writeUInt32LE(value.used, offset + 508);
    buffer.fill(0, offset + 148, offset + 152);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Flow {
    return {
      counts: [FlowCount.decode(buffer, offset), FlowCount.decode(buffer, offset + 64)],
      began: buffer.readBigUInt64LE(offset + 128),
      counted: buffer.readBigUInt64LE(offset + 136),
      countedTick: buffer.readUInt32LE(offset + 144),
      tcp: FlowTcp.decode(buffer, offset + 152),
      response: FlowResponse.decode(buffer, offset + 192),
      cookie: buffer.readBigUInt64LE(offset + 288),
      lastSeen: buffer.readBigUInt64LE(offset + 296),
      epoch: buffer.readBigUInt64LE(offset + 304),
      nameHash: buffer.readBigUInt64LE(offset + 312),
      allowedSince: buffer.readBigUInt64LE(offset + 320),
      startTime: buffer.readBigUInt64LE(offset + 328),
      cgroupId: buffer.readBigUInt64LE(offset + 336),
      subjects: [Subject.decode(buffer, offset + 344), Subject.decode(buffer, offset + 344 + 40), Subject.decode(buffer, offset + 344 + 80)],
      tableId: buffer.readUInt32LE(offset + 464),
      tgid: buffer.readUInt32LE(offset + 468),
      dnsNext: [buffer.readUInt32LE(offset + 472), buffer.readUInt32LE(offset + 472 + 4)],
      subjectCount: buffer.readUInt8(offset + 480),
      direction: buffer.readUInt8(offset + 481),
      reason: buffer.readUInt8(offset + 482),
      application: buffer.readUInt8(offset + 483),
      flags: buffer.readUInt32LE(offset + 484),
      dnsLength: [buffer.readUInt16LE(offset + 488), buffer.readUInt16LE(offset + 488 + 2)],
      dnsHeld: [buffer.readUInt16LE(offset + 492), buffer.readUInt16LE(offset + 492 + 2)],
      dnsPrefix: readBytes(buffer, offset + 496, 2),
      dnsAhead: readBytes(buffer, offset + 498, 2),
      tick: buffer.readUInt32LE(offset + 500),
      lineage: buffer.readUInt32LE(offset + 504),
      used: buffer.readUInt32LE(offset + 508),
    };
  },
};

/** `struct fragment_key`, 56 bytes */
export interface FragmentKey {
  socket: bigint;
  workloadId: number;
  identification: number;
  source: Uint8Array;
  destination: Uint8Array;
  protocol: number;
  direction: number;
}

export const FragmentKey: Codec<FragmentKey> = {
  SIZE: 56,
  encode(value: FragmentKey, buffer: Buffer = Buffer.alloc(56), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.socket, offset);
    buffer.writeUInt32LE(value.workloadId, offset + 8);
    buffer.writeUInt32LE(value.identification, offset + 12);
    writeBytes(buffer, value.source, offset + 16, 16, "FragmentKey.source");
    writeBytes(buffer, value.destination, offset + 32, 16, "FragmentKey.destination");
    buffer.writeUInt8(value.protocol, offset + 48);
    buffer.writeUInt8(value.direction, offset + 49);
    buffer.fill(0, offset + 50, offset + 56);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): FragmentKey {
    return {
      socket: buffer.readBigUInt64LE(offset),
      workloadId: buffer.readUInt32LE(offset + 8),
      identification: buffer.readUInt32LE(offset + 12),
      source: readBytes(buffer, offset + 16, 16),
      destination: readBytes(buffer, offset + 32, 16),
      protocol: buffer.readUInt8(offset + 48),
      direction: buffer.readUInt8(offset + 49),
    };
  },
};

/** `struct fragment`, 24 bytes */
export interface Fragment {
  seen: bigint;
  tableId: number;
  pathId: number;
  length: number;
  reason: number;
}

export const Fragment: Codec<Fragment> = {
  SIZE: 24,
  encode(value: Fragment, buffer: Buffer = Buffer.alloc(24), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.seen, offset);
    buffer.writeUInt32LE(value.tableId, offset + 8);
    buffer.writeUInt32LE(value.pathId, offset + 12);
    buffer.writeUInt32LE(value.length, offset + 16);
    buffer.writeUInt8(value.reason, offset + 20);
    buffer.fill(0, offset + 21, offset + 24);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Fragment {
    return {
      seen: buffer.readBigUInt64LE(offset),
      tableId: buffer.readUInt32LE(offset + 8),
      pathId: buffer.readUInt32LE(offset + 12),
      length: buffer.readUInt32LE(offset + 16),
      reason: buffer.readUInt8(offset + 20),
    };
  },
};

/** `struct icmp_request_key`, 16 bytes */
export interface IcmpRequestKey {
  hash: bigint;
  workloadId: number;
}

export const IcmpRequestKey: Codec<IcmpRequestKey> = {
  SIZE: 16,
  encode(value: IcmpRequestKey, buffer: Buffer = Buffer.alloc(16), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.hash, offset);
    buffer.writeUInt32LE(value.workloadId, offset + 8);
    buffer.fill(0, offset + 12, offset + 16);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): IcmpRequestKey {
    return {
      hash: buffer.readBigUInt64LE(offset),
      workloadId: buffer.readUInt32LE(offset + 8),
    };
  },
};

/** `struct dns_query_key`, 48 bytes */
export interface DnsQueryKey {
  flow: FlowKey;
  id: number;
}

export const DnsQueryKey: Codec<DnsQueryKey> = {
  SIZE: 48,
  encode(value: DnsQueryKey, buffer: Buffer = Buffer.alloc(48), offset = 0): Buffer {
    FlowKey.encode(value.flow, buffer, offset);
    buffer.writeUInt16LE(value.id, offset + 44);
    buffer.fill(0, offset + 46, offset + 48);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): DnsQueryKey {
    return {
      flow: FlowKey.decode(buffer, offset),
      id: buffer.readUInt16LE(offset + 44),
    };
  },
};

/** `struct dns_query`, 40 bytes */
export interface DnsQuery {
  nameHash: bigint;
  asked: bigint;
  pathId: number;
  containerId: number;
  secondPathId: number;
  secondContainerId: number;
  type: number;
  connects: number;
  answered: number;
}

export const DnsQuery: Codec<DnsQuery> = {
  SIZE: 40,
  encode(value: DnsQuery, buffer: Buffer = Buffer.alloc(40), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.nameHash, offset);
    buffer.writeBigUInt64LE(value.asked, offset + 8);
    buffer.writeUInt32LE(value.pathId, offset + 16);
    buffer.writeUInt32LE(value.containerId, offset + 20);
    buffer.writeUInt32LE(value.secondPathId, offset + 24);
    buffer.writeUInt32LE(value.secondContainerId, offset + 28);
    buffer.writeUInt16LE(value.type, offset + 32);
    buffer.writeUInt16LE(value.connects, offset + 34);
    buffer.writeUInt16LE(value.answered, offset + 36);
    buffer.fill(0, offset + 38, offset + 40);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): DnsQuery {
    return {
      nameHash: buffer.readBigUInt64LE(offset),
      asked: buffer.readBigUInt64LE(offset + 8),
      pathId: buffer.readUInt32LE(offset + 16),
      containerId: buffer.readUInt32LE(offset + 20),
      secondPathId: buffer.readUInt32LE(offset + 24),
      secondContainerId: buffer.readUInt32LE(offset + 28),
      type: buffer.readUInt16LE(offset + 32),
      connects: buffer.readUInt16LE(offset + 34),
      answered: buffer.readUInt16LE(offset + 36),
    };
  },
};

/** `struct dns_name_key`, 16 bytes */
export interface DnsNameKey {
  hash: bigint;
  workloadId: number;
}

export const DnsNameKey: Codec<DnsNameKey> = {
  SIZE: 16,
  encode(value: DnsNameKey, buffer: Buffer = Buffer.alloc(16), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.hash, offset);
    buffer.writeUInt32LE(value.workloadId, offset + 8);
    buffer.fill(0, offset + 12, offset + 16);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): DnsNameKey {
    return {
      hash: buffer.readBigUInt64LE(offset),
      workloadId: buffer.readUInt32LE(offset + 8),
    };
  },
};

/** `struct dns_name`, 256 bytes */
export interface DnsName {
  text: Uint8Array;
  length: number;
}

export const DnsName: Codec<DnsName> = {
  SIZE: 256,
  encode(value: DnsName, buffer: Buffer = Buffer.alloc(256), offset = 0): Buffer {
    writeBytes(buffer, value.text, offset, 254, "DnsName.text");
    buffer.writeUInt8(value.length, offset + 254);
    buffer.fill(0, offset + 255, offset + 256);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): DnsName {
    return {
      text: readBytes(buffer, offset, 254),
      length: buffer.readUInt8(offset + 254),
    };
  },
};

/** `struct learned_key`, 28 bytes */
export interface LearnedKey {
  workloadId: number;
  pathId: number;
  containerId: number;
  address: Uint8Array;
}

export const LearnedKey: Codec<LearnedKey> = {
  SIZE: 28,
  encode(value: LearnedKey, buffer: Buffer = Buffer.alloc(28), offset = 0): Buffer {
    buffer.writeUInt32LE(value.workloadId, offset);
    buffer.writeUInt32LE(value.pathId, offset + 4);
    buffer.writeUInt32LE(value.containerId, offset + 8);
    writeBytes(buffer, value.address, offset + 12, 16, "LearnedKey.address");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): LearnedKey {
    return {
      workloadId: buffer.readUInt32LE(offset),
      pathId: buffer.readUInt32LE(offset + 4),
      containerId: buffer.readUInt32LE(offset + 8),
      address: readBytes(buffer, offset + 12, 16),
    };
  },
};

/** `struct learned_name`, 16 bytes */
export interface LearnedName {
  hash: bigint;
  expires: bigint;
}

export const LearnedName: Codec<LearnedName> = {
  SIZE: 16,
  encode(value: LearnedName, buffer: Buffer = Buffer.alloc(16), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.hash, offset);
    buffer.writeBigUInt64LE(value.expires, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): LearnedName {
    return {
      hash: buffer.readBigUInt64LE(offset),
      expires: buffer.readBigUInt64LE(offset + 8),
    };
  },
};

/** `struct learned`, 64 bytes */
export interface Learned {
  names: [LearnedName, LearnedName, LearnedName, LearnedName];
}

export const Learned: Codec<Learned> = {
  SIZE: 64,
  encode(value: Learned, buffer: Buffer = Buffer.alloc(64), offset = 0): Buffer {
    LearnedName.encode(value.names[0], buffer, offset);
    LearnedName.encode(value.names[1], buffer, offset + 16);
    LearnedName.encode(value.names[2], buffer, offset + 32);
    LearnedName.encode(value.names[3], buffer, offset + 48);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Learned {
    return {
      names: [LearnedName.decode(buffer, offset), LearnedName.decode(buffer, offset + 16), LearnedName.decode(buffer, offset + 32), LearnedName.decode(buffer, offset + 48)],
    };
  },
};

/** `struct stream_lock`, 8 bytes */
export interface StreamLock {
  isHeld: number;
}

export const StreamLock: Codec<StreamLock> = {
  SIZE: 8,
  encode(value: StreamLock, buffer: Buffer = Buffer.alloc(8), offset = 0): Buffer {
    buffer.writeUInt32LE(value.isHeld, offset + 4);
    buffer.fill(0, offset, offset + 4);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): StreamLock {
    return {
      isHeld: buffer.readUInt32LE(offset + 4),
    };
  },
};

/** `struct counter_key`, 12 bytes */
export interface CounterKey {
  workloadId: number;
  pathId: number;
  direction: number;
  reason: number;
  verdict: number;
}

export const CounterKey: Codec<CounterKey> = {
  SIZE: 12,
  encode(value: CounterKey, buffer: Buffer = Buffer.alloc(12), offset = 0): Buffer {
    buffer.writeUInt32LE(value.workloadId, offset);
    buffer.writeUInt32LE(value.pathId, offset + 4);
    buffer.writeUInt8(value.direction, offset + 8);
    buffer.writeUInt8(value.reason, offset + 9);
    buffer.writeUInt8(value.verdict, offset + 10);
    buffer.fill(0, offset + 11, offset + 12);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): CounterKey {
    return {
      workloadId: buffer.readUInt32LE(offset),
      pathId: buffer.readUInt32LE(offset + 4),
      direction: buffer.readUInt8(offset + 8),
      reason: buffer.readUInt8(offset + 9),
      verdict: buffer.readUInt8(offset + 10),
    };
  },
};

/** `struct counter`, 16 bytes */
export interface Counter {
  packets: bigint;
  bytes: bigint;
}

export const Counter: Codec<Counter> = {
  SIZE: 16,
  encode(value: Counter, buffer: Buffer = Buffer.alloc(16), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.packets, offset);
    buffer.writeBigUInt64LE(value.bytes, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Counter {
    return {
      packets: buffer.readBigUInt64LE(offset),
      bytes: buffer.readBigUInt64LE(offset + 8),
    };
  },
};

/** `struct error_site`, 40 bytes */
export interface ErrorSite {
  error: number;
  line: number;
  file: string;
}

export const ErrorSite: Codec<ErrorSite> = {
  SIZE: 40,
  encode(value: ErrorSite, buffer: Buffer = Buffer.alloc(40), offset = 0): Buffer {
    buffer.writeUInt32LE(value.error, offset);
    buffer.writeUInt32LE(value.line, offset + 4);
    writeText(buffer, value.file, offset + 8, 32, "ErrorSite.file");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): ErrorSite {
    return {
      error: buffer.readUInt32LE(offset),
      line: buffer.readUInt32LE(offset + 4),
      file: readText(buffer, offset + 8, 32),
    };
  },
};

/** `struct record_header`, 32 bytes */
export interface RecordHeader {
  time: bigint;
  count: bigint;
  workloadId: number;
  tableId: number;
  type: number;
}

export const RecordHeader: Codec<RecordHeader> = {
  SIZE: 32,
  encode(value: RecordHeader, buffer: Buffer = Buffer.alloc(32), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.time, offset);
    buffer.writeBigUInt64LE(value.count, offset + 8);
    buffer.writeUInt32LE(value.workloadId, offset + 16);
    buffer.writeUInt32LE(value.tableId, offset + 20);
    buffer.writeUInt8(value.type, offset + 24);
    buffer.fill(0, offset + 25, offset + 32);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): RecordHeader {
    return {
      time: buffer.readBigUInt64LE(offset),
      count: buffer.readBigUInt64LE(offset + 8),
      workloadId: buffer.readUInt32LE(offset + 16),
      tableId: buffer.readUInt32LE(offset + 20),
      type: buffer.readUInt8(offset + 24),
    };
  },
};

/** `struct record_process`, 80 bytes */
export interface RecordProcess {
  actor: Actor;
  binaryId: number;
  containerId: number;
  parentTgid: number;
  parentPathId: number;
  comm: string;
}

export const RecordProcess: Codec<RecordProcess> = {
  SIZE: 80,
  encode(value: RecordProcess, buffer: Buffer = Buffer.alloc(80), offset = 0): Buffer {
    Actor.encode(value.actor, buffer, offset);
    buffer.writeUInt32LE(value.binaryId, offset + 48);
    buffer.writeUInt32LE(value.containerId, offset + 52);
    buffer.writeUInt32LE(value.parentTgid, offset + 56);
    buffer.writeUInt32LE(value.parentPathId, offset + 60);
    writeText(buffer, value.comm, offset + 64, 16, "RecordProcess.comm");
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): RecordProcess {
    return {
      actor: Actor.decode(buffer, offset),
      binaryId: buffer.readUInt32LE(offset + 48),
      containerId: buffer.readUInt32LE(offset + 52),
      parentTgid: buffer.readUInt32LE(offset + 56),
      parentPathId: buffer.readUInt32LE(offset + 60),
      comm: readText(buffer, offset + 64, 16),
    };
  },
};

/** `struct record_packet`, 64 bytes */
export interface RecordPacket {
  nameHash: bigint;
  mask: bigint;
  length: number;
  ethertype: number;
  localPort: number;
  remotePort: number;
  verdict: number;
  reason: number;
  direction: number;
  protocol: number;
  application: number;
  local: Uint8Array;
  remote: Uint8Array;
}

export const RecordPacket: Codec<RecordPacket> = {
  SIZE: 64,
  encode(value: RecordPacket, buffer: Buffer = Buffer.alloc(64), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.nameHash, offset);
    buffer.writeBigUInt64LE(value.mask, offset + 8);
    buffer.writeUInt32LE(value.length, offset + 16);
    buffer.writeUInt16LE(value.ethertype, offset + 20);
    buffer.writeUInt16LE(value.localPort, offset + 22);
    buffer.writeUInt16LE(value.remotePort, offset + 24);
    buffer.writeUInt8(value.verdict, offset + 26);
    buffer.writeUInt8(value.reason, offset + 27);
    buffer.writeUInt8(value.direction, offset + 28);
    buffer.writeUInt8(value.protocol, offset + 29);
    buffer.writeUInt8(value.application, offset + 30);
    writeBytes(buffer, value.local, offset + 32, 16, "RecordPacket.local");
    writeBytes(buffer, value.remote, offset + 48, 16, "RecordPacket.remote");
    buffer.fill(0, offset + 31, offset + 32);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): RecordPacket {
    return {
      nameHash: buffer.readBigUInt64LE(offset),
      mask: buffer.readBigUInt64LE(offset + 8),
      length: buffer.readUInt32LE(offset + 16),
      ethertype: buffer.readUInt16LE(offset + 20),
      localPort: buffer.readUInt16LE(offset + 22),
      remotePort: buffer.readUInt16LE(offset + 24),
      verdict: buffer.readUInt8(offset + 26),
      reason: buffer.readUInt8(offset + 27),
      direction: buffer.readUInt8(offset + 28),
      protocol: buffer.readUInt8(offset + 29),
      application: buffer.readUInt8(offset + 30),
      local: readBytes(buffer, offset + 32, 16),
      remote: readBytes(buffer, offset + 48, 16),
    };
  },
};

/** `struct record_message`, 264 bytes */
export interface RecordMessage {
  type: number;
  offset: number;
  fault: number;
  rcode: number;
  opcode: number;
  isResponse: number;
  nameLength: number;
  name: Uint8Array;
}

export const RecordMessage: Codec<RecordMessage> = {
  SIZE: 264,
  encode(value: RecordMessage, buffer: Buffer = Buffer.alloc(264), offset = 0): Buffer {
    buffer.writeUInt16LE(value.type, offset);
    buffer.writeUInt16LE(value.offset, offset + 2);
    buffer.writeUInt8(value.fault, offset + 4);
    buffer.writeUInt8(value.rcode, offset + 5);
    buffer.writeUInt8(value.opcode, offset + 6);
    buffer.writeUInt8(value.isResponse, offset + 7);
    buffer.writeUInt8(value.nameLength, offset + 8);
    writeBytes(buffer, value.name, offset + 9, 254, "RecordMessage.name");
    buffer.fill(0, offset + 263, offset + 264);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): RecordMessage {
    return {
      type: buffer.readUInt16LE(offset),
      offset: buffer.readUInt16LE(offset + 2),
      fault: buffer.readUInt8(offset + 4),
      rcode: buffer.readUInt8(offset + 5),
      opcode: buffer.readUInt8(offset + 6),
      isResponse: buffer.readUInt8(offset + 7),
      nameLength: buffer.readUInt8(offset + 8),
      name: readBytes(buffer, offset + 9, 254),
    };
  },
};

/** `struct verdict_record`, 176 bytes */
export interface VerdictRecord {
  header: RecordHeader;
  process: RecordProcess;
  packet: RecordPacket;
}

export const VerdictRecord: Codec<VerdictRecord> = {
  SIZE: 176,
  encode(value: VerdictRecord, buffer: Buffer = Buffer.alloc(176), offset = 0): Buffer {
    RecordHeader.encode(value.header, buffer, offset);
    RecordProcess.encode(value.process, buffer, offset + 32);
    RecordPacket.encode(value.packet, buffer, offset + 112);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): VerdictRecord {
    return {
      header: RecordHeader.decode(buffer, offset),
      process: RecordProcess.decode(buffer, offset + 32),
      packet: RecordPacket.decode(buffer, offset + 112),
    };
  },
};

/** `struct message_record`, 440 bytes */
export interface MessageRecord {
  verdict: VerdictRecord;
  message: RecordMessage;
}

export const MessageRecord: Codec<MessageRecord> = {
  SIZE: 440,
  encode(value: MessageRecord, buffer: Buffer = Buffer.alloc(440), offset = 0): Buffer {
    VerdictRecord.encode(value.verdict, buffer, offset);
    RecordMessage.encode(value.message, buffer, offset + 176);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): MessageRecord {
    return {
      verdict: VerdictRecord.decode(buffer, offset),
      message: RecordMessage.decode(buffer, offset + 176),
    };
  },
};

/** `struct flow_record`, 592 bytes */
export interface FlowRecord {
  header: RecordHeader;
  key: FlowKey;
  isReplaced: number;
  flow: Flow;
}

export const FlowRecord: Codec<FlowRecord> = {
  SIZE: 592,
  encode(value: FlowRecord, buffer: Buffer = Buffer.alloc(592), offset = 0): Buffer {
    RecordHeader.encode(value.header, buffer, offset);
    FlowKey.encode(value.key, buffer, offset + 32);
    buffer.writeUInt32LE(value.isReplaced, offset + 76);
    Flow.encode(value.flow, buffer, offset + 80);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): FlowRecord {
    return {
      header: RecordHeader.decode(buffer, offset),
      key: FlowKey.decode(buffer, offset + 32),
      isReplaced: buffer.readUInt32LE(offset + 76),
      flow: Flow.decode(buffer, offset + 80),
    };
  },
};

/** `struct limit_key`, 40 bytes */
export interface LimitKey {
  workloadId: number;
  pathId: number;
  remote: Uint8Array;
  port: number;
  protocol: number;
  direction: number;
  reason: number;
  verdict: number;
  nameHash: bigint;
}

export const LimitKey: Codec<LimitKey> = {
  SIZE: 40,
  encode(value: LimitKey, buffer: Buffer = Buffer.alloc(40), offset = 0): Buffer {
    buffer.writeUInt32LE(value.workloadId, offset);
    buffer.writeUInt32LE(value.pathId, offset + 4);
    writeBytes(buffer, value.remote, offset + 8, 16, "LimitKey.remote");
    buffer.writeUInt16LE(value.port, offset + 24);
    buffer.writeUInt8(value.protocol, offset + 26);
    buffer.writeUInt8(value.direction, offset + 27);
    buffer.writeUInt8(value.reason, offset + 28);
    buffer.writeUInt8(value.verdict, offset + 29);
    buffer.writeBigUInt64LE(value.nameHash, offset + 32);
    buffer.fill(0, offset + 30, offset + 32);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): LimitKey {
    return {
      workloadId: buffer.readUInt32LE(offset),
      pathId: buffer.readUInt32LE(offset + 4),
      remote: readBytes(buffer, offset + 8, 16),
      port: buffer.readUInt16LE(offset + 24),
      protocol: buffer.readUInt8(offset + 26),
      direction: buffer.readUInt8(offset + 27),
      reason: buffer.readUInt8(offset + 28),
      verdict: buffer.readUInt8(offset + 29),
      nameHash: buffer.readBigUInt64LE(offset + 32),
    };
  },
};

/** `struct limit`, 16 bytes */
export interface Limit {
  last: bigint;
  suppressed: bigint;
}

export const Limit: Codec<Limit> = {
  SIZE: 16,
  encode(value: Limit, buffer: Buffer = Buffer.alloc(16), offset = 0): Buffer {
    buffer.writeBigUInt64LE(value.last, offset);
    buffer.writeBigUInt64LE(value.suppressed, offset + 8);
    return buffer;
  },
  decode(buffer: Buffer, offset = 0): Limit {
    return {
      last: buffer.readBigUInt64LE(offset),
      suppressed: buffer.readBigUInt64LE(offset + 8),
    };
  },
};
