/** The rooms of src/, and what each may import. docs/architecture.md says what is in them. */

/**
 * What a room may import beside itself and the rooms in it: other rooms, with all that is in them, or single files. A file
 * belongs to the longest name here that it lies below.
 */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  api: [],
  timing: [],
  terminal: ["api"],
  // Records: what other rooms make, keep, send, filter and print. A leaf, so that all of them can.
  flow: ["api", "gen", "terminal"],
  // The generated codecs use the functions that read and write numbers.
  gen: ["node-agent/kernel/codec.ts"],
  telemetry: ["api"],
  // Where records go, one exporter beside the other.
  export: ["api", "flow", "gen", "net", "telemetry", "timing"],
  net: ["api", "telemetry", "timing"],
  endpoints: ["api", "net", "telemetry"],
  kube: ["api", "net", "telemetry", "timing"],

  "policy/table": ["api"],
  "policy/serialize": ["api", "policy/table"],
  "policy/compile": ["api", "policy/table"],
  "policy/packet": ["api", "policy/table"],
  "policy/reference": ["api", "policy/packet", "policy/table"],
  "policy/explain": ["api", "policy/compile", "policy/packet", "policy/reference", "policy/table"],

  // Records in, profiles out, through the very compiler and evaluator.
  learn: ["api", "flow", "policy"],

  protocol: ["api", "flow", "gen", "policy/serialize", "policy/table"],

  operator: ["api", "endpoints", "flow", "gen", "kube", "net", "policy", "protocol", "telemetry", "timing"],

  // Records as Hubble's clients ask for them.
  hubble: ["api", "flow", "gen"],

  "node-agent": [
    "api",
    "endpoints",
    "export",
    "flow",
    "gen",
    "hubble",
    "net",
    "policy",
    "protocol",
    "telemetry",
    "terminal",
    "timing",
  ],
  "node-agent/ffi": ["api"],
  "node-agent/netlink": ["api", "node-agent/ffi"],
  "node-agent/kernel": ["api", "gen", "node-agent/ffi", "node-agent/netlink"],

  cli: [
    "api",
    "endpoints",
    "export",
    "flow",
    "hubble",
    "kube",
    "learn",
    "net",
    "node-agent",
    "operator",
    "policy",
    "protocol",
    "telemetry",
    "terminal",
  ],
};

/** Packages that one room alone may import. */
export const PACKAGE_ROOMS: Readonly<Record<string, string>> = {
  koffi: "node-agent/ffi",
  "@kubernetes/client-node": "kube",
  commander: "cli",
  tldts: "learn",
};

/** The room that declares the flags of commands, and alone names them. */
export const FLAG_ROOM = "cli";

/** Rooms that compute and nothing else: no files, no processes, no network. */
export const PURE_ROOMS: readonly string[] = ["api", "flow", "policy", "learn", "gen"];

/** Modules of Node that reach outside; `node:net` is left out, because it tells addresses apart. */
export const INPUT_OUTPUT: readonly string[] = [
  "child_process",
  "cluster",
  "dgram",
  "dns",
  "fs",
  "http",
  "http2",
  "https",
  "tls",
  "worker_threads",
];

/** More files than this beside their tests are a sign of rooms within. */
export const FOLDER_FILES_MAX = 16;

/** Folders that may have more, and why. */
export const LARGE_FOLDERS: Readonly<Record<string, string>> = {
  docs: "a page keeps its address while it moves between chapters; docs/README.md has the chapters",
  "docs/adr": "one file a decision, numbered",
  "test/cluster/scenarios": "each file is a test",
  "test/fuzz/cases": "one file a case",
};
