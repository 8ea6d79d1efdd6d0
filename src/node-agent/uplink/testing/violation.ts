/** For tests: a violation of the pod `web`, as the agent's events tell of it. */
import type { VerdictEvent } from "../../../flow/record.ts";

export function violationEvent(more: Partial<VerdictEvent> = {}): VerdictEvent {
  return {
    time: "2026-01-01T00:00:00.000Z",
    type: "verdict",
    verdict: "dropped",
    reason: "Peer",
    direction: "egress",
    workload: { name: "web", namespace: "default", labels: {}, uid: "uid-web" },
    profiles: ["default/p"],
    process: { path: "/bin/app", container: "main" },
    proto: "tcp",
    src: { ip: "10.0.0.1", port: 40000 },
    dst: { ip: "10.0.0.2", port: 443 },
    count: 1,
    ...more,
  };
}
