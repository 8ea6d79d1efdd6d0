/** What the benchmark and its processes of agents say to each other. */

export interface AgentPlace {
  node: string;
  tokenFile: string;
}

/** To a process of agents. */
export type AgentCommand =
  | { type: "start"; target: string; authority: string; agents: AgentPlace[] }
  /** Tell when each of these nodes' pods (`node`, `uid`) has another table than now. */
  | { type: "expect"; pods: [node: string, uid: string][] }
  /** Tell when every agent has taken a revision on a new connection. */
  | { type: "expectAll" }
  /** Packets are counted on every node, each second, or not. */
  | { type: "traffic"; on: boolean };

/** Moments in milliseconds since 1970, of one clock for all processes. */
export type AgentNews =
  | { type: "expecting" }
  | { type: "changed"; moments: number[] }
  | { type: "all"; lost: number[]; connected: number[]; taken: number[] };

/** Finer than `Date.now`, and the same in all processes of a machine. */
export function moment(): number {
  return performance.timeOrigin + performance.now();
}
