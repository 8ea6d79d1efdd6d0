/** What can go wrong between the desired state and the kernel. */
import { PortcullisError } from "../../api/errors.ts";

/** A rule table does not fit into the kernel's maps; the one before stays in force. */
export class CapacityError extends PortcullisError {
  readonly map: string;

  constructor(map: string, needed: string, limit: number, options?: ErrorOptions) {
    super(
      "PC_CAPACITY",
      `the policy does not fit: ${needed}, and map "${map}" holds ${limit} entries. ` +
        "The policy before it stays in force; shorten the profiles' lists, or select fewer workloads on this node",
      options,
    );
    this.map = map;
  }
}

/** The state file is there but cannot be used. */
export class StateUnreadableError extends PortcullisError {
  constructor(path: string, why: string, options?: ErrorOptions) {
    super("PC_STATE_UNREADABLE", `cannot use the state file ${path}: ${why}`, options);
  }
}

/** An agent works on the same pins. */
export class AgentRunningError extends PortcullisError {
  readonly pid: number | null;

  constructor(pinRoot: string, lockPath: string, pid: number | null) {
    super(
      "PC_AGENT_RUNNING",
      `an agent${pid === null ? "" : ` (pid ${pid})`} looks after ${pinRoot} (it holds ${lockPath}). ` +
        "Stop it first, or work on another pin root",
    );
    this.pid = pid;
  }
}

/** The kernel objects are not there: not built, or not installed. */
export class ObjectsMissingError extends PortcullisError {
  constructor(path: string) {
    super(
      "PC_OBJECTS_MISSING",
      `there is no BPF object at ${path}. Run \`make build\`, or name their folder in PORTCULLIS_OBJECTS`,
    );
  }
}

/** The pins belong to an agent in another network namespace. */
export class OtherNamespaceError extends PortcullisError {
  constructor(pinRoot: string, theirs: number, ours: number) {
    super(
      "PC_OTHER_NAMESPACE",
      `what is pinned under ${pinRoot} guards interfaces of network namespace ${theirs}, and this is ${ours}. ` +
        "Run the command in that namespace (nsenter --net=...), or with another pin root",
    );
  }
}

/** Something is pinned, and not all that belongs to it. */
export class PinsIncompleteError extends PortcullisError {
  constructor(pinRoot: string, options?: ErrorOptions) {
    super(
      "PC_PINS_INCOMPLETE",
      `what is pinned under ${pinRoot} is not whole: a start failed half-way, or some of it was removed. ` +
        "Start the agent again, which repairs it, or take it off with `portcullis detach`",
      options,
    );
  }
}

/** What is pinned was made by another version, with other layouts. */
export class PinsIncompatibleError extends PortcullisError {
  constructor(pinRoot: string, options?: ErrorOptions) {
    super(
      "PC_PINS_INCOMPATIBLE",
      `what is pinned under ${pinRoot} was made by another version of Portcullis, and this one cannot go on with it. ` +
        "It stays in force until `portcullis detach` takes it off; then start this version. " +
        "In a cluster, agent.replacePins of the chart does both, with a gap",
      options,
    );
  }
}
