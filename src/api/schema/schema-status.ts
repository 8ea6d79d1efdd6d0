/** The schema of a SecurityProfile's status: what the operator reports, and `kubectl get` shows. */
import { listOf, objectOf, oneOf, type SchemaNode } from "./schema-node.ts";

/** More of them are summed up in the condition's message. */
export const MAX_FAILING_NODES = 50;
const MAX_STATUS_PROCESSES = 256;
const MAX_ALIASES = 32;
const MAX_MESSAGE_LENGTH = 4096;

const text = (description: string, maxLength = 1024): SchemaNode => ({ description, type: "string", maxLength });

const count = (description: string): SchemaNode => ({ description, type: "integer", format: "int64", minimum: 0 });

const time = (description: string): SchemaNode => ({ description, type: "string", format: "date-time" });

/** As metav1.Condition of k8s.io/apimachinery. */
const CONDITION = objectOf(
  "One aspect of the profile's state.",
  {
    type: {
      ...text(
        "Accepted: the profile is valid. Programmed: every node concerned has taken it. Enforced: it is in force on every pod that it selects. Hardened: no such pod has rights beyond its need.",
        316,
      ),
      pattern:
        "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
    },
    status: oneOf(["True", "False", "Unknown"], "Whether it holds."),
    observedGeneration: count("Generation of the profile that it is about."),
    lastTransitionTime: time("When its status changed last."),
    reason: {
      ...text("Why, in one word.", 1024),
      minLength: 1,
      pattern: "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
    },
    message: text("Why, and what to do.", 32768),
  },
  { required: ["type", "status", "lastTransitionTime", "reason", "message"] },
);

const PODS = objectOf("Pods that the profile selects.", {
  selected: count("Pods that it selects."),
  enforced: count("Of these, pods on which this generation is in force."),
  unprotected: count("Of these, pods that cannot be distinguished on the network, such as host-network pods."),
  text: text("enforced/selected, for kubectl get.", 64),
});

const NODES = objectOf("Nodes with pods that the profile selects.", {
  total: count("Nodes with such pods."),
  ready: count("Of these, nodes that have put this generation in force."),
  text: text("ready/total, for kubectl get.", 64),
});

const FAILING_NODE = objectOf(
  "A node that could not put the profile in force.",
  {
    name: text("Name of the node.", 253),
    reason: text("Why, in one word.", 256),
    message: text("Why, and what to do.", MAX_MESSAGE_LENGTH),
    pods: count("Pods concerned."),
  },
  { required: ["name", "reason"] },
);

const FAILING_NODES: SchemaNode = {
  ...listOf("Nodes that could not put the profile in force.", FAILING_NODE, MAX_FAILING_NODES),
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": ["name"],
};

const PROCESS_COUNTS = objectOf(
  "What one listed process did, over all pods.",
  {
    path: text("As listed in spec.processes; empty for the default."),
    container: text("As listed; absent for every container.", 63),
    allowed: count("Packets allowed."),
    dropped: count("Packets dropped."),
    alerted: count("Packets alerted and passed."),
    sharedWith: listOf("Other names of the same file, which share its rights.", text("Path."), MAX_ALIASES),
  },
  { required: ["path"] },
);

const LAST_VIOLATION = objectOf("The latest violation.", {
  time: time("When it was seen."),
  node: text("On which node.", 253),
  pod: text("By which pod.", 253),
  process: text("By which executable."),
  reason: text("Reason of the verdict, such as Peer or DnsName.", 64),
  remote: text("The other side: address or name, protocol and port.", 512),
});

/** `status`. */
export const STATUS_SCHEMA: SchemaNode = objectOf("Where and how the profile is in force, as last seen.", {
  observedGeneration: count("Generation of the profile that the status is about."),
  mode: text("What follows from a violation: Enforce+Alert, Enforce, Alert, Learn or Count.", 64),
  conditions: {
    ...listOf("Accepted, Programmed, Enforced and Hardened.", CONDITION, 16),
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["type"],
  },
  pods: PODS,
  nodes: NODES,
  dropped: count("Packets dropped since the profile was made."),
  alerted: count("Packets alerted and passed since the profile was made."),
  lastViolation: LAST_VIOLATION,
  failingNodes: FAILING_NODES,
  processes: listOf("Counts by process.", PROCESS_COUNTS, MAX_STATUS_PROCESSES),
});
