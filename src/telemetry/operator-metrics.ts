/** Metrics of the operator. */
import type { MetricCatalogue } from "./metrics.ts";

const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export const OPERATOR_METRICS = {
  isLeader: {
    type: "gauge",
    name: "portcullis_operator_leader",
    help: "1 if this replica leads.",
    labels: [],
  },
  reconciles: {
    type: "counter",
    name: "portcullis_operator_reconciles_total",
    help: "Reconciles by controller and result (ok, error).",
    labels: ["controller", "result"],
  },
  reconcileSeconds: {
    type: "histogram",
    name: "portcullis_operator_reconcile_seconds",
    help: "Time that a reconcile took.",
    labels: ["controller"],
    buckets: SECONDS,
  },
  queueDepth: {
    type: "gauge",
    name: "portcullis_operator_queue_depth",
    help: "Keys that wait to be looked at.",
    labels: ["controller"],
  },
  watchFailures: {
    type: "counter",
    name: "portcullis_operator_watch_failures_total",
    help: "Watches that broke, or could not be begun.",
    labels: ["resource"],
  },
  watchAge: {
    type: "gauge",
    name: "portcullis_operator_watch_age_seconds",
    help: "Time since the API server was last heard of.",
    labels: ["resource"],
  },
  cachedObjects: {
    type: "gauge",
    name: "portcullis_operator_cached_objects",
    help: "Objects of the API server that are kept in memory.",
    labels: ["resource"],
  },
  profiles: {
    type: "gauge",
    name: "portcullis_operator_profiles",
    help: "SecurityProfiles by whether they are accepted (true, false, over_budget).",
    labels: ["accepted"],
  },
  tables: {
    type: "gauge",
    name: "portcullis_operator_tables",
    help: "Distinct rule tables that some pod has.",
    labels: [],
  },
  compiles: {
    type: "counter",
    name: "portcullis_operator_compiles_total",
    help: "Rule tables compiled, by result (ok, error).",
    labels: ["result"],
  },
  compileSeconds: {
    type: "histogram",
    name: "portcullis_operator_compile_seconds",
    help: "Time that compiling one table took.",
    labels: [],
    buckets: SECONDS,
  },
  agents: {
    type: "gauge",
    name: "portcullis_operator_agents",
    help: "Agents that are connected.",
    labels: [],
  },
  agentConnections: {
    type: "counter",
    name: "portcullis_operator_agent_connections_total",
    help: "Connections of agents by result (accepted, unauthenticated, denied, not_leader, busy, failed).",
    labels: ["result"],
  },
  connectionsDropped: {
    type: "counter",
    name: "portcullis_operator_connections_dropped_total",
    help: "Connections that were not taken, or ended before anybody was let in, by listener (agents, observe, metrics) and reason (rate, peer, room, patience).",
    labels: ["listener", "reason"],
  },
  confinedErrors: {
    type: "counter",
    name: "portcullis_operator_confined_errors_total",
    help: "Errors that nobody expected and that ended what was done for one peer, by what that was (agent, observe, metrics).",
    labels: ["what"],
  },
  badMessages: {
    type: "counter",
    name: "portcullis_operator_bad_messages_total",
    help: "Messages of agents that were not as they have to be, each of which ended its stream, by kind.",
    labels: ["kind"],
  },
  clampedReports: {
    type: "counter",
    name: "portcullis_operator_clamped_reports_total",
    help: "Figures of agents that cannot be, and were cut to what can, by what (packets, time).",
    labels: ["what"],
  },
  revisionsSent: {
    type: "counter",
    name: "portcullis_operator_revisions_sent_total",
    help: "Revisions sent to agents, by kind (full, delta).",
    labels: ["kind"],
  },
  revisionsRefused: {
    type: "counter",
    name: "portcullis_operator_revisions_refused_total",
    help: "Revisions that agents refused.",
    labels: [],
  },
  sentBytes: {
    type: "counter",
    name: "portcullis_operator_sent_bytes_total",
    help: "Bytes of states sent to agents, before compression.",
    labels: [],
  },
  acknowledgeSeconds: {
    type: "histogram",
    name: "portcullis_operator_acknowledge_seconds",
    help: "Time from a change of a node's state to the agent's acknowledgement.",
    labels: [],
    buckets: SECONDS,
  },
  enforceSeconds: {
    type: "histogram",
    name: "portcullis_operator_enforce_seconds",
    help: "Time from a profile's new generation seen to its being in force on all of its pods.",
    labels: [],
    buckets: SECONDS,
  },
  statusWrites: {
    type: "counter",
    name: "portcullis_operator_status_writes_total",
    help: "Writes of profiles' status by result (ok, error).",
    labels: ["result"],
  },
  packets: {
    type: "counter",
    name: "portcullis_operator_packets_total",
    help: "Packets of violations as reported by the agents, by profile, direction, verdict and reason.",
    labels: ["namespace", "profile", "direction", "verdict", "reason"],
  },
  eventsSuppressed: {
    type: "counter",
    name: "portcullis_operator_events_suppressed_total",
    help: "Violations that became no Kubernetes Event, because there were too many.",
    labels: [],
  },
  nodeEventsLost: {
    type: "counter",
    name: "portcullis_operator_node_events_lost_total",
    help: "Events that nodes could not report.",
    labels: [],
  },
  observers: {
    type: "gauge",
    name: "portcullis_operator_observers",
    help: "People who look at a pod now.",
    labels: [],
  },
  observations: {
    type: "counter",
    name: "portcullis_operator_observations_total",
    help: "Requests to look at a pod, by result (accepted, refused).",
    labels: ["result"],
  },
} as const satisfies MetricCatalogue;
