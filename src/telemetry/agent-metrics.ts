/** Metrics of the agent in a cluster. */
import type { MetricCatalogue } from "./metrics.ts";

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export const AGENT_METRICS = {
  packets: {
    type: "counter",
    name: "portcullis_agent_packets_total",
    help: "Packets judged, by direction, verdict and reason. By profile they are the operator's: whoever reaches a node may read these.",
    labels: ["direction", "verdict", "reason"],
  },
  pods: {
    type: "gauge",
    name: "portcullis_agent_pods",
    help: "Pods of the node by phase (enforced, unrestricted, pending, failed, unprotected).",
    labels: ["phase"],
  },
  connected: {
    type: "gauge",
    name: "portcullis_agent_operator_connected",
    help: "1 if the agent is connected to the operator.",
    labels: [],
  },
  connections: {
    type: "counter",
    name: "portcullis_agent_operator_connections_total",
    help: "Connections to the operator that were begun.",
    labels: [],
  },
  revisions: {
    type: "counter",
    name: "portcullis_agent_revisions_total",
    help: "Revisions of the operator by result (acknowledged, refused) and, where refused, code.",
    labels: ["result", "code"],
  },
  badMessages: {
    type: "counter",
    name: "portcullis_agent_bad_messages_total",
    help: "Invalid messages of the operator, each of which ended the stream, by kind.",
    labels: ["kind"],
  },
  enforceSeconds: {
    type: "histogram",
    name: "portcullis_agent_enforce_seconds",
    help: "Time from a revision's arrival to its being in force in the kernel.",
    labels: [],
    buckets: SECONDS,
  },
  reconcileSeconds: {
    type: "histogram",
    name: "portcullis_agent_reconcile_seconds",
    help: "Time that bringing the kernel in line took.",
    labels: [],
    buckets: SECONDS,
  },
  mapEntries: {
    type: "gauge",
    name: "portcullis_agent_map_entries",
    help: "Entries of a BPF map.",
    labels: ["map"],
  },
  mapCapacity: {
    type: "gauge",
    name: "portcullis_agent_map_capacity",
    help: "Entries that a BPF map has room for.",
    labels: ["map"],
  },
  learnedNames: {
    type: "gauge",
    name: "portcullis_agent_learned_addresses",
    help: "Addresses learned from DNS answers, for all processes of all pods.",
    labels: [],
  },
  shareLosses: {
    type: "gauge",
    name: "portcullis_agent_share_losses",
    help: "Entries that workloads lost from their own shares of the kernel's maps, or could not add, by share.",
    labels: ["share"],
  },
  kernelErrors: {
    type: "gauge",
    name: "portcullis_agent_kernel_errors",
    help: "Failures in the BPF programs since they were loaded, by kind.",
    labels: ["kind"],
  },
  kernelErrorSites: {
    type: "gauge",
    name: "portcullis_agent_kernel_error_sites",
    help: "The same failures since this agent loaded its programs, by the line of BPF source that counted them (some eighty lines).",
    labels: ["kind", "site"],
  },
  fileLooks: {
    type: "gauge",
    name: "portcullis_agent_file_looks",
    help: "Looks at files of pods since the agent's start, by result (answered, hung, refused: files of that pod hang, or too many looks wait).",
    labels: ["result"],
  },
  recordsKept: {
    type: "gauge",
    name: "portcullis_agent_records_kept",
    help: "1 if records are kept and can be asked for; 0 where the disk takes none, or the socket cannot be had.",
    labels: [],
  },
  recordsBytes: {
    type: "gauge",
    name: "portcullis_agent_records_bytes",
    help: "Bytes of the records on the node's disk.",
    labels: [],
  },
  recordsSegments: {
    type: "gauge",
    name: "portcullis_agent_records_segments",
    help: "Segments of records on the node's disk, by state (whole, damaged: a part cannot be read).",
    labels: ["state"],
  },
  exportRecords: {
    type: "counter",
    name: "portcullis_agent_export_records_total",
    help: "Records for an export, by the export's name and result (taken: its destination has them; overflowed: too much was waiting; refused: the destination will not take them, or the agent ended before).",
    labels: ["export", "result"],
  },
  exportWaiting: {
    type: "gauge",
    name: "portcullis_agent_export_waiting_bytes",
    help: "Bytes of the records that wait for the destination of an export.",
    labels: ["export"],
  },
  exportWorking: {
    type: "gauge",
    name: "portcullis_agent_export_working",
    help: "1 if the destination of an export takes records; 0 if the last attempt failed.",
    labels: ["export"],
  },
  eventsLost: {
    type: "counter",
    name: "portcullis_agent_events_lost_total",
    help: "Events that were lost, by where (kernel: a buffer was full; output: it was not read; queue, disk: they were not kept) and, of the kernel, by kind (violation, allowed, dns).",
    labels: ["where", "kind"],
  },
} as const satisfies MetricCatalogue;
