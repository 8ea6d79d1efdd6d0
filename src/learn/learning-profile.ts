/** The profile under which a workload is watched to be learned: nothing is judged, every question and conversation is recorded. */
import { API_VERSION, KIND, type Network, type SecurityProfile } from "../api/types.ts";

/** Of everybody, to everybody. The names of addresses are known only to rules that have peers. */
const EVERYTHING: Network = {
  egress: {
    cidr4: ["0.0.0.0/0"],
    cidr6: ["::/0"],
    l3: { protocols: ["ipv4", "ipv6", "arp"] },
    l4: { protocols: ["any"] },
  },
  ingress: {
    cidr4: ["0.0.0.0/0"],
    cidr6: ["::/0"],
    l3: { protocols: ["ipv4", "ipv6", "arp"] },
    l4: { protocols: ["any"] },
  },
};

export function learningProfile(workload: {
  name: string;
  namespace: string;
  labels: Readonly<Record<string, string>>;
}): SecurityProfile {
  const { name, namespace, labels } = workload;
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name, namespace },
    spec: {
      labelSelector: { matchLabels: { ...labels } },
      actions: ["trace-dns", "learn"],
      default: structuredClone(EVERYTHING),
      processes: [],
    },
  };
}
