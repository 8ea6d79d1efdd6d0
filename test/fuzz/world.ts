/** The small world that random cases live in: few enough of everything that things meet. */
import { EPHEMERAL_CONTAINER } from "../harness/classifier-harness.ts";

export const OWN4 = "10.0.0.2";
export const OWN6 = "fd00::2";
export const OWN_LINK_LOCAL = "fe80::2";
export const OWN_ADDRESSES: readonly string[] = [OWN4, OWN6, OWN_LINK_LOCAL];

/** The way out, where sockets are real. */
export const GATEWAYS = { gateway4: "10.0.0.1", gateway6: "fd00::1" } as const;

/** What every socket on a port may get: groups, everybody, and everybody on the workload's link. */
export const GROUPS4 = ["239.1.2.3", "224.0.0.251", "255.255.255.255", "10.0.0.255"] as const;
export const GROUPS6 = ["ff02::fb", "ff15::1234"] as const;

export const RESOLVER4 = "10.0.0.53";
export const RESOLVER6 = "fd00::53";

export const PEERS4 = [RESOLVER4, "10.0.0.1", "10.1.2.3", "192.0.2.7", "192.0.2.8", "198.51.100.9"] as const;
export const PEERS6 = [RESOLVER6, "fd00::1", "2001:db8::7", "2001:db8:1::8", "fe80::1"] as const;

export const PATHS = ["/bin/app", "/bin/dig", "/usr/bin/curl"] as const;
/** What leads to processes; as with paths, not all of it is listed. */
export const ANCESTORS = ["/bin/sh", "/usr/sbin/backup", "/bin/app", "/sbin/init"] as const;
export const USERS = [0, 1, 33] as const;
/** A path that no profile lists. */
export const STRANGER = "/tmp/stranger";

export const CONTAINERS = [null, "app", "sidecar", EPHEMERAL_CONTAINER] as const;

const LABEL_63 = "l".repeat(63);
/** 253 bytes, the longest there is. */
export const LONGEST_NAME = [LABEL_63, LABEL_63, LABEL_63, "l".repeat(61)].join(".");

export const NAMES: readonly string[] = [
  "example.com",
  "www.example.com",
  "a.b.example.com",
  "badexample.com",
  "example.org",
  "api.default.svc.cluster.local",
  "api",
  "_sip._tcp.example.com",
  "com",
  LONGEST_NAME,
];

export const PATTERNS: readonly string[] = [
  ...NAMES,
  "*",
  "*.example.com",
  "*.com",
  "*.b.example.com",
  "*.svc.cluster.local",
  `*.${LONGEST_NAME.slice(64)}`,
];

export const SEARCH_DOMAINS = ["default.svc.cluster.local", "svc.cluster.local", "example.com"] as const;

export const PORTS = [53, 80, 81, 443, 5353, 8080, 40000] as const;
