/** Records as a busy node has them, for tests and benchmarks. */
import type { VerdictEvent } from "../../../flow/record.ts";

const REASONS = ["Allowed", "Allowed", "Allowed", "Peer", "BinaryUnknown", "DnsName"] as const;
const PATHS = ["/usr/sbin/nginx", "/usr/bin/python3.12", "/usr/local/bin/shop", "/bin/sh"];

/** The record of that number, at that time: of pods in turn, with ports, names and processes that differ. */
export function sampleRecord(number: number, time: number, pods = 20): VerdictEvent {
  const pod = number % pods;
  const reason = REASONS[number % REASONS.length] ?? "Allowed";
  return {
    time: new Date(time).toISOString(),
    type: "verdict",
    verdict: reason === "Allowed" ? "allowed" : "dropped",
    reason,
    direction: number % 7 === 0 ? "ingress" : "egress",
    workload: {
      name: `web-${pod}-7d9f8b4c5d-x2x9z`,
      namespace: pod % 2 === 0 ? "shop" : "bank",
      labels: { app: `web-${pod}`, "app.kubernetes.io/part-of": "shop", "pod-template-hash": "7d9f8b4c5d" },
      uid: `7f2d6c1e-1b5a-4c7e-9d60-${String(pod).padStart(12, "0")}`,
    },
    profiles: [`shop/web-${pod}`],
    process: {
      key: `4a0c1c5e-6b0d-4a52-9a39-3f3f9e2d7c11/${4000 + (number % 977)}/${123_456_789_000 + number * 7919}`,
      pid: 4000 + (number % 977),
      path: PATHS[number % PATHS.length] ?? "",
      comm: "worker",
      startTime: new Date(time - 60_000).toISOString(),
      parent: { pid: 1, path: "/sbin/tini" },
    },
    proto: "tcp",
    src: { ip: `10.244.1.${pod + 2}`, port: 32_768 + ((number * 7919) % 28_000) },
    dst: { ip: `10.96.${number % 13}.${number % 251}`, port: 443, name: `api-${number % 211}.example.com` },
    application: "tls",
    count: 1 + (number % 3),
  };
}
