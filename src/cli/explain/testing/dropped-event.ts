/** An event for tests, as an agent writes it: `/bin/app` of a pod was not let out. */
import type { VerdictEvent } from "../../../flow/record.ts";

export const DROPPED: VerdictEvent = {
  time: "2026-01-02T03:04:05.678Z",
  type: "verdict",
  verdict: "dropped",
  reason: "Peer",
  direction: "egress",
  workload: { name: "web-0", namespace: "default", labels: { app: "web" } },
  profiles: ["default/web"],
  process: { pid: 42, path: "/bin/app" },
  proto: "tcp",
  src: { ip: "10.0.0.2", port: 41022 },
  dst: { ip: "203.0.113.7", port: 443 },
  count: 1,
};
