import assert from "node:assert/strict";
import { test } from "node:test";
import { PodIndex } from "./pod-index.ts";
import { type PodRecord, podRecord, searchDomainsOf } from "./pod-record.ts";
import { serviceRecord, sliceRecord } from "./service-record.ts";

const metadata = { name: "web-0", namespace: "shop", uid: "u1", labels: { app: "web" } };

function podOf(spec: object, status: object = {}): PodRecord {
  const record = podRecord({ metadata, spec, status });
  assert.ok(record !== null);
  return record;
}

test("of a pod its node, addresses and containers are kept, init and ephemeral ones too", () => {
  const record = podOf(
    {
      nodeName: "n1",
      initContainers: [{ name: "setup" }],
      containers: [{ name: "app" }],
      ephemeralContainers: [{ name: "debug" }],
    },
    {
      podIP: "10.0.0.1",
      podIPs: [{ ip: "10.0.0.1" }, { ip: "2001:DB8::1" }],
      containerStatuses: [{ name: "app", containerID: "containerd://abc" }],
      ephemeralContainerStatuses: [{ name: "debug", containerID: "cri-o://def" }],
    },
  );
  assert.deepEqual(record.addresses, ["10.0.0.1", "2001:db8::1"]);
  assert.deepEqual(record.containers, [
    { $typeName: "portcullis.agent.v1.Container", name: "setup", id: "", ephemeral: false },
    { $typeName: "portcullis.agent.v1.Container", name: "app", id: "abc", ephemeral: false },
    { $typeName: "portcullis.agent.v1.Container", name: "debug", id: "def", ephemeral: true },
  ]);
  assert.equal(podRecord({ metadata, status: { phase: "Failed" } }), null);
});

test("pods that have the same labels share them, others do not", () => {
  const labelsOf = (labels: Record<string, string>) => podRecord({ metadata: { ...metadata, labels } })?.labels;
  assert.equal(labelsOf({ app: "web", tier: "a" }), labelsOf({ app: "web", tier: "a" }));
  assert.deepEqual(labelsOf({ app: "web", tier: "b" }), { app: "web", tier: "b" });
});

test("search lists are as the kubelet makes them", () => {
  const domains = (spec: object) => searchDomainsOf(podOf(spec), "cluster.local", ["corp.example"]);
  const cluster = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"];
  const dnsConfig = { searches: ["own.example", "corp.example"] };
  assert.deepEqual(domains({ dnsPolicy: "ClusterFirst", dnsConfig }), [...cluster, "corp.example", "own.example"]);
  assert.deepEqual(domains({ dnsPolicy: "ClusterFirst", hostNetwork: true }), ["corp.example"]);
  assert.deepEqual(domains({ dnsPolicy: "ClusterFirstWithHostNet", hostNetwork: true }), [...cluster, "corp.example"]);
  assert.deepEqual(domains({ dnsPolicy: "Default" }), ["corp.example"]);
  assert.deepEqual(domains({ dnsPolicy: "None", dnsConfig: { searches: ["only.example"] } }), ["only.example"]);
});

test("a Service has all addresses under which it is reached, a headless one none of its own", () => {
  const spec = { clusterIP: "10.96.0.1", clusterIPs: ["10.96.0.1", "fd00::1"], externalIPs: ["192.0.2.7"] };
  const status = { loadBalancer: { ingress: [{ ip: "198.51.100.1" }, { hostname: "lb.example" }] } };
  assert.deepEqual(serviceRecord({ metadata, spec, status }).addresses, [
    "10.96.0.1",
    "192.0.2.7",
    "198.51.100.1",
    "fd00::1",
  ]);
  assert.deepEqual(serviceRecord({ metadata, spec: { clusterIP: "None" } }).addresses, []);
  const labels = { "kubernetes.io/service-name": "db" };
  const endpoints = [{ addresses: ["10.0.0.2"] }, { addresses: ["10.0.0.1", "10.0.0.2"] }, {}];
  assert.deepEqual(sliceRecord({ metadata: { ...metadata, labels }, endpoints }), {
    service: "shop/db",
    addresses: ["10.0.0.1", "10.0.0.2"],
  });
  assert.equal(sliceRecord({ metadata, endpoints }), null);
});

test("pods are found by namespace and label, and not any more when they have changed", () => {
  const index = new PodIndex();
  const found = (selector?: object) => [...index.candidates("shop", selector)].map(([key]) => key);
  index.set("shop/a", podOf({}));
  index.set("shop/b", { ...podOf({}), labels: { app: "web", tier: "front" } });
  assert.deepEqual(found({ matchLabels: { app: "web" } }), ["shop/a", "shop/b"]);
  assert.deepEqual(found({ matchLabels: { app: "web", tier: "front" } }), ["shop/b"]);
  assert.deepEqual(found({ matchLabels: { app: "web", tier: "back" } }), []);
  assert.deepEqual(found(), ["shop/a", "shop/b"]);
  index.set("shop/b", { ...podOf({}), labels: { app: "db" } });
  assert.deepEqual(found({ matchLabels: { app: "web" } }), ["shop/a"]);
  index.set("shop/a", null);
  assert.deepEqual([found(), index.size], [["shop/b"], 1]);
});
