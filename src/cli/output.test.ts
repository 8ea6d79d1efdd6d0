/**
 * What people read, at 80 and at 100 columns and in a pipe, is as in snapshots/. After a change that is meant, write them again
 * (`make snapshots`) and look at the difference.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readProfileSet, validProfiles } from "../api/profile-set.ts";
import type { AgentEvent, VerdictEvent } from "../flow/record.ts";
import { EventText } from "../flow/text.ts";
import type { NodeStatus, WorkloadStatus } from "../node-agent/enforce/inspect.ts";
import type { TrafficCount } from "../node-agent/enforce/tables/counters.ts";
import type { FeatureReport } from "../node-agent/kernel/features/features.ts";
import { explain, type Question } from "../policy/explain/explain.ts";
import { remedyOf } from "../policy/explain/remedy.ts";
import { parseIp } from "../policy/table/addresses.ts";
import { NO_ANCESTRY } from "../policy/table/subject.ts";
import { visibleLength } from "../terminal/fit.ts";
import { reportText } from "./doctor.ts";
import { explanationText } from "./explain/explain-text.ts";
import { reportText as clusterText } from "./kubectl/status.ts";
import { type NodeReport, statusText } from "./status.ts";
import { validatePaths } from "./validate/validate.ts";
import { setReportText } from "./validate/validate-report.ts";

process.env.TZ = "UTC";
process.env.NO_COLOR = "1";

const folder = mkdtempSync(join(tmpdir(), "pc-output-"));
after(() => rmSync(folder, { recursive: true }));

const WIDTHS = { 80: 80, 100: 100, 200: 200, pipe: Number.POSITIVE_INFINITY };

/** A word that is wider than a line stays whole; the texts here have none. */
function fits(name: string, text: (width: number) => string): void {
  for (const [label, width] of Object.entries(WIDTHS)) {
    test(`${name}, ${label === "pipe" ? "in a pipe, where nothing is cut" : `at ${label} columns`}`, (context) => {
      const shown = text(width);
      assert.deepEqual(
        shown.split("\n").filter((line) => visibleLength(line) > width),
        [],
      );
      context.assert.fileSnapshot(
        shown,
        join(import.meta.dirname, `snapshots/${name.replaceAll(" ", "-")}-${label}.txt`),
        {
          serializers: [String],
        },
      );
    });
  }
}

const EVENT: VerdictEvent = {
  time: "2026-01-02T03:04:05.678Z",
  type: "verdict",
  verdict: "dropped",
  reason: "BinaryUnknown",
  direction: "egress",
  workload: { name: "web-7d9f8b4c5d-x2x9z", namespace: "shop", labels: { app: "web" } },
  profiles: ["shop/web-profile"],
  process: { pid: 18_946, path: "/usr/local/lib/nginx/sbin/nginx", comm: "nginx" },
  proto: "tcp",
  src: { ip: "10.244.1.10", port: 41_022 },
  dst: { ip: "10.244.100.200", port: 6443 },
  count: 1,
};
const SHORT_LIVED = { pid: 7, path: "/bin/sh", comm: "sh" };
const QUESTION = { name: "orders.database.svc.cluster.local", type: "AAAA" };
const RESOLVER = { ip: "10.96.0.10", port: 53 };

const EVENTS: AgentEvent[] = [
  {
    ...{ time: EVENT.time, type: "workload", workload: EVENT.workload, state: "enforced" },
    ...{ interfaces: ["veth0a1b2c3d", "veth4e5f6a7b"], profiles: ["shop/web-profile", "shop/every-pod-of-the-shop"] },
  },
  {
    time: EVENT.time,
    type: "ready",
    workloads: ["web-7d9f8b4c5d-x2x9z", "database-0", "database-1", "cart-55d6f8c9b-8hjkl"],
  },
  { ...EVENT, verdict: "allowed", reason: "Allowed", proto: "udp", dst: RESOLVER, dns: QUESTION, application: "dns" },
  {
    ...EVENT,
    verdict: "allowed",
    reason: "Allowed",
    dst: { ip: "10.96.7.7", port: 443, name: QUESTION.name },
    application: "tls",
  },
  { ...EVENT, process: SHORT_LIVED, count: 1_234 },
  { ...EVENT, reason: "Peer" },
  { ...EVENT, reason: "Peer", process: SHORT_LIVED, dst: { ip: "2001:db8:1111:2222:3333:4444:5555:6666", port: 443 } },
  {
    ...EVENT,
    reason: "DnsName",
    proto: "udp",
    dst: RESOLVER,
    dns: { name: "exfiltrated.data.attacker.example", type: "TXT" },
  },
  {
    ...EVENT,
    reason: "DnsMalformed",
    proto: "udp",
    dst: RESOLVER,
    malformed: { fault: "trailing", offset: 41 },
    count: 3,
  },
  { ...EVENT, reason: "BinaryModified", process: { ...SHORT_LIVED, modified: true } },
  {
    ...{ ...EVENT, verdict: "alerted", direction: "ingress", reason: "Port" },
    ...{ src: { ip: "192.168.100.200", port: 40_000 }, dst: { ip: "10.244.1.10", port: 8080 } },
  },
  {
    ...EVENT,
    reason: "ArpSpoofing",
    process: null,
    proto: "arp",
    src: { ip: "10.244.1.20" },
    dst: { ip: "10.244.1.20" },
  },
  {
    ...EVENT,
    type: "listen",
    verdict: "alerted",
    reason: "Listen",
    src: { ip: "0.0.0.0" },
    dst: { ip: "0.0.0.0", port: 4444 },
  },
  {
    ...{ time: EVENT.time, type: "revision", revision: "ab".repeat(32), refused: false, errors: [] },
    profiles: ["shop/web-profile", "shop/every-pod-of-the-shop", "shop/database"],
    changes: [
      {
        workload: "web-7d9f8b4c5d-x2x9z",
        changes: ["/usr/local/lib/nginx/sbin/nginx: egress.fqdns + api.example.com"],
      },
    ],
  },
  {
    ...{ time: EVENT.time, type: "revision", revision: "cd".repeat(32), refused: true, profiles: [], changes: [] },
    errors: [
      {
        source: "profiles/web.yaml:12",
        field: "spec.actions[0]",
        message: '"explode" is not an action; write alert or enforce',
      },
    ],
  },
  { time: EVENT.time, type: "lost", where: "kernel", kind: "allowed", count: 17 },
];

function eventLines(oneWorkload: boolean): (width: number) => string {
  return (width) => {
    const text = new EventText({ colours: false, width, oneWorkload });
    return `${EVENTS.map((event) => text.lines(event)).join("\n")}\n`;
  };
}

fits("events of the agent", eventLines(false));
fits("events of one workload", eventLines(true));

const COUNT: TrafficCount = {
  ...{
    workloadId: 1,
    path: "/usr/local/lib/nginx/sbin/nginx",
    modified: false,
    direction: "egress",
    verdict: "allowed",
  },
  ...{ reason: "Allowed", packets: 1_234_567, bytes: 1 },
};
const TRAFFIC: TrafficCount[] = [
  COUNT,
  { ...COUNT, direction: "ingress", packets: 12 },
  { ...COUNT, verdict: "dropped", reason: "Peer", packets: 3 },
  { ...COUNT, path: "/usr/bin/curl", verdict: "alerted", reason: "BinaryModified", modified: true, packets: 9 },
  { ...COUNT, path: null, verdict: "counted", reason: "Unattributed", packets: 1 },
];
const WORKLOAD: WorkloadStatus = {
  id: 1,
  ...{ name: "web-7d9f8b4c5d-x2x9z", namespace: "shop", labels: { app: "web", "app.kubernetes.io/part-of": "shop" } },
  ...{ state: "enforced", since: "2026-01-02T03:04:05.678Z", table: "ab".repeat(32), error: null },
  interfaces: [
    { name: "veth0a1b2c3d", ifindex: 17, attached: true },
    { name: "veth4e5f6a7b", ifindex: 18, attached: false },
  ],
  profiles: ["shop/web-profile", "shop/every-pod-of-the-shop"],
  actions: ["alert", "enforce"],
  sharedFiles: [{ listed: "/usr/bin/wget", file: "/bin/busybox" }],
  unseen: [{ listed: "/usr/sbin/nginx", meant: "/usr/local/lib/nginx/sbin/nginx" }],
  weaknesses: ["privileged"],
  problems: [
    { code: "PC_X", message: "an interface of the kind macvlan cannot be guarded: what leaves by it is not judged" },
  ],
  full: [{ name: "flows", size: 8192, lost: 17, consequence: "the flows that were idle longest are judged anew" }],
  traffic: TRAFFIC,
};
const STATUS: NodeReport = {
  records: { segments: 12, bytes: 93_000_000, damaged: 1, problem: null },
  ...{ pinRoot: "/sys/fs/bpf/portcullis", present: true, agentPid: null, workloads: [WORKLOAD] },
  hookSets: { devices: "fentry", flows: "kprobes", senders: "tracepoints" } as unknown as NodeStatus["hookSets"],
  gate: { opensAfter: 30_000, admitted: 3, waiting: [{ netnsInum: 4_026_532_001, dropped: 7, passed: 0 } as never] },
  peerRedirects: [{ id: 1234, name: "cil_from_netdev" }],
  maps: [{ name: "socket_identities", entries: 123_456, maxEntries: 1_000_000 } as never],
  errors: [
    { name: "sent_without_socket", count: 12, sites: [{ site: "socket/owner.h:211", count: 12 }] },
    {
      ...{ name: "packet_read", count: 6 },
      sites: [
        { site: "packet/transport.h:16", count: 4 },
        { site: "packet/error_quote.h:104", count: 2 },
      ],
    },
  ],
  problems: [
    "the interfaces are in network namespace 4026532008, not in this one: whether programs are on them cannot be seen",
  ],
};

fits("status", (width) => statusText(STATUS, width));

const PROFILE = { namespace: "shop", name: "web", problem: null, isUnknown: false, status: {} };

fits("kubectl status", (width) =>
  clusterText(
    [
      PROFILE,
      {
        ...PROFILE,
        name: "db",
        problem: "Enforced is False: in force on 3 of 4 pods; node worker-2: PC_CAPACITY: full",
      },
      { ...PROFILE, name: "mail", problem: "Enforced is Unknown: no operator is running", isUnknown: true },
    ],
    [
      { name: "worker-1", problem: null },
      { name: "worker-2", problem: "there is no agent" },
    ],
    {
      holder: null,
      renewed: "2026-01-02T03:04:05Z",
      problem: "no operator has renewed its Lease since 2026-01-02T03:04:05Z",
    },
    width,
  ),
);

const FEATURES: FeatureReport[] = [
  {
    ...{ feature: "classifiers", required: true, available: true, state: "supported", consequence: "everything" },
    detail: "programs at the traffic control hooks of interfaces, by links of the kernel (tcx)",
  },
  {
    ...{
      feature: "kprobes",
      required: false,
      available: false,
      state: "missing",
      detail: "the kernel was built without CONFIG_KPROBES",
    },
    consequence: "on a kernel without fentry, interfaces are noticed by rtnetlink alone, some milliseconds later",
  },
  {
    ...{ feature: "bpf-filesystem", required: true, available: false, state: "missing" },
    ...{
      detail: "mount it: mount -t bpf bpf /sys/fs/bpf",
      consequence: "nothing can be pinned, so nothing outlives the agent",
    },
  },
  {
    ...{ feature: "lsm", required: false, available: false, state: "unknown" },
    ...{
      detail: "not used: /sys/kernel/security/lsm does not exist; mount securityfs",
      consequence: "function-tracing, or tracepoints after the fact, show who sends on a connected socket",
    },
  },
];

fits("doctor", (width) =>
  reportText({ canEnforce: false, kernel: "6.1.0-44-amd64", features: FEATURES, hookSets: STATUS.hookSets }, width),
);

const MANIFEST = `apiVersion: security.datadoghq.com/v1
kind: SecurityProfile
metadata: { name: web-profile, namespace: shop, labels: { app: web } }
spec:
  actions: [alert, enforce]
  processes:
    - path: /usr/local/lib/nginx/sbin/nginx
      network:
        egress:
          fqdns: [orders.database.svc.cluster.local]
          cidr4: [10.96.0.10/32]
          l4: { protocolPorts: [{ protocol: udp, port: 53 }, { protocol: tcp, port: 5432 }] }
`;

function explained(path: string): (width: number) => string {
  const profiles = validProfiles(readProfileSet([{ source: "web.yaml", text: MANIFEST }]));
  const question: Question = {
    workload: { namespace: "shop", labels: { app: "web", "app.kubernetes.io/part-of": "the-shop" } },
    process: {
      path,
      script: null,
      container: null,
      ephemeral: false,
      modified: false,
      ancestry: NO_ANCESTRY,
      user: null,
    },
    traffic: {
      ...{ direction: "egress", resolved: null, question: null, application: "unknown" },
      peer: { remote: parseIp("10.244.100.200") ?? assert.fail(), protocol: 6, port: 6443 },
    },
  };
  const circumstances = { searchDomains: [], files: () => [], peers: { pods: () => NOBODY, service: () => NOBODY } };
  const explanation = explain(profiles, question, circumstances);
  const remedy = remedyOf(profiles, question, circumstances);
  return (width) => explanationText(question, explanation, remedy, width);
}
const NOBODY = { cidrs4: [], cidrs6: [] };

fits("explain a listed process", explained("/usr/local/lib/nginx/sbin/nginx"));
fits("explain a process that is not listed", explained("/bin/sh"));

fits("validate", (width) => {
  const path = "web.yaml";
  writeFileSync(join(folder, path), MANIFEST.replace("enforce]", "explode]").replace("10.96.0.10/32", "10.96.0.10/40"));
  writeFileSync(join(folder, "good.yaml"), MANIFEST);
  const outcome = validatePaths([join(folder, "good.yaml"), join(folder, path), join(folder, "absent.yaml")]);
  return setReportText(outcome, width).replaceAll(`${folder}/`, "");
});
