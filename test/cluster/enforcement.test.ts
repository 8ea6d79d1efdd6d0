/** `kubectl apply` a SecurityProfile, and every node enforces it: operator and agents on a real cluster. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { EgressRules, SecurityProfile } from "../../src/api/types.ts";
import { writeImage } from "../../tools/image/oci-image.ts";
import { ENTRYPOINT, makeRoot } from "../../tools/image/root.ts";
import { Cluster } from "./harness/cluster.ts";
import { DEMO_IMAGE } from "./harness/images.ts";
import { eventually } from "./harness/place.ts";
import {
  COMPONENT,
  installProduct,
  OPERATOR,
  productLogs,
  productReady,
  SYSTEM,
  uninstallProduct,
} from "./harness/product.ts";

const IMAGE = "registry.local/portcullis:test";
const PORT = "8080";
const REQUEST = "GET / HTTP/1.0\r\n\r\n";
/** Of the test client: what a process may not do ends so. */
const TIMED_OUT = 3;

interface Pod {
  metadata: { name: string; uid: string };
  status: { podIP: string; containerStatuses: { name: string; containerID: string }[] };
  spec: { nodeName: string };
}

const folder = mkdtempSync(join(tmpdir(), "pc-image-"));
after(async () => {
  await Cluster.remove();
  rmSync(folder, { recursive: true, force: true });
});
makeRoot(join(folder, "root"));
const image = join(folder, "portcullis.tar");
await writeImage({ root: join(folder, "root"), reference: IMAGE, entrypoint: ENTRYPOINT }, image);
const cluster = await Cluster.start({ images: [image] });
await installProduct(cluster, IMAGE);
cluster.apply(deployment("server", 1, ["/bin/httpd", "-f", "-p", PORT]));
cluster.apply(deployment("shop", 2, ["/bin/sleep", "infinity"]));
for (const name of ["server", "shop"]) cluster.kubectl("rollout", "status", `deploy/${name}`, "--timeout=60s");
const [server] = pods("server");
assert.ok(server);
const shops = pods("shop");

function deployment(app: string, replicas: number, command: string[]): object {
  const container = (name: string, of: string[]) => ({
    name,
    image: DEMO_IMAGE,
    imagePullPolicy: "Never",
    command: of,
  });
  const spread = {
    maxSkew: 1,
    topologyKey: "kubernetes.io/hostname",
    whenUnsatisfiable: "DoNotSchedule",
    labelSelector: { matchLabels: { app } },
  };
  const spec = {
    terminationGracePeriodSeconds: 0,
    topologySpreadConstraints: [spread],
    containers: [container("web", command), container("sidecar", ["/bin/sleep", "infinity"])],
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: app },
    spec: { replicas, selector: { matchLabels: { app } }, template: { metadata: { labels: { app } }, spec } },
  };
}

function pods(app: string): Pod[] {
  return cluster.get<{ items: Pod[] }>("pods", "-l", `app=${app}`).items;
}

function profile(egress: EgressRules, actions: SecurityProfile["spec"]["actions"] = ["alert", "enforce"]): object {
  return {
    apiVersion: "security.datadoghq.com/v1",
    kind: "SecurityProfile",
    metadata: { name: "shop", labels: { app: "shop" } },
    spec: { actions, processes: [{ path: "/bin/app", container: "web", network: { egress } }] },
  };
}

const toServer: EgressRules = {
  cidr4: [`${server.status.podIP}/32`],
  l4: { protocolPorts: [{ protocol: "tcp", port: Number(PORT) }] },
};

/** What the test client does, for a request to the server. */
function verbs(): string[] {
  return ["timeout", "700", "tcp4", "connect", server?.status.podIP ?? "", PORT, "send", REQUEST, "recv"];
}

/** Exit status of a request to the server. */
function request(pod: Pod, container: string, ...program: string[]): number {
  return cluster.exec(pod.metadata.name, container, ...program, ...verbs());
}

/** Id of a container at its runtime. */
function containerOf(pod: Pod, name: string): string {
  const status = pod.status.containerStatuses.find((container) => container.name === name);
  return status?.containerID.replace("containerd://", "") ?? "";
}

async function enforced(generation: number, timeout = 20_000): Promise<void> {
  const path = `jsonpath={.status.observedGeneration} {.status.conditions[?(@.type=="Enforced")].status}`;
  const text = () => cluster.kubectl("get", "sp", "shop", "-o", path);
  const describe = () => `${cluster.kubectl("describe", "sp", "shop")}\n${productLogs(cluster)}`;
  await eventually(`generation ${generation} in force`, () => text() === `${generation} True`, { timeout, describe });
}

/** A change takes effect before its status says so. */
async function becomes(expected: number, probe: () => number): Promise<void> {
  await eventually(`exit status ${expected}`, () => probe() === expected, {
    timeout: 15_000,
    describe: () => productLogs(cluster),
  });
}

test("pods that no profile selects are not judged", () => {
  for (const pod of shops) assert.equal(request(pod, "web", "/bin/app"), 0);
});

test("an applied profile is in force on every node, and its status says so", async () => {
  cluster.apply(profile(toServer));
  await enforced(1);
  for (const pod of shops) {
    assert.equal(request(pod, "web", "/bin/app"), 0, "the listed process");
    assert.equal(request(pod, "web", "/bin/other"), TIMED_OUT, "a process that is not listed");
    assert.equal(request(pod, "sidecar", "/bin/app"), TIMED_OUT, "the listed path, in another container");
  }
});

test("a shell by kubectl exec has no rights", () => {
  const [pod] = shops;
  assert.ok(pod);
  const script = `echo | nc -w 1 ${server.status.podIP} ${PORT}`;
  assert.notEqual(cluster.exec(pod.metadata.name, "web", "sh", "-c", script), 0);
});

test("kubectl get shows how many pods and nodes, and what was dropped", async () => {
  const columns = () => cluster.kubectl("get", "sp", "shop", "--no-headers").trim().split(/\s+/);
  await eventually("drops in the status", () => Number(columns()[6]) > 0, {
    timeout: 20_000,
    describe: () => cluster.kubectl("describe", "sp", "shop"),
  });
  assert.deepEqual(columns().slice(0, 6), ["shop", "Enforce+Alert", "True", "True", "2/2", "2/2"]);
});

test("an edit takes effect, and an invalid one leaves what was in force", async () => {
  const [pod] = shops;
  assert.ok(pod);
  cluster.apply(profile({ ...toServer, cidr4: ["192.0.2.1/32"] }));
  await becomes(TIMED_OUT, () => request(pod, "web", "/bin/app"));
  assert.throws(() => cluster.apply(profile({ ...toServer, cidr4: ["nonsense"] })), /cidr4/);
  cluster.apply(profile(toServer));
  await becomes(0, () => request(pod, "web", "/bin/app"));
});

test("alert alone lets pass what it reports", async () => {
  const [pod] = shops;
  assert.ok(pod);
  cluster.apply(profile(toServer, ["alert"]));
  await becomes(0, () => request(pod, "web", "/bin/other"));
  cluster.apply(profile(toServer));
  await becomes(TIMED_OUT, () => request(pod, "web", "/bin/other"));
});

test("what is in force stays so without the operator and while agents are replaced", async () => {
  const [pod] = shops;
  assert.ok(pod);
  cluster.kubectl("-n", SYSTEM, "scale", OPERATOR, "--replicas=0");
  cluster.kubectl("-n", SYSTEM, "delete", "pods", "-l", `${COMPONENT}=agent`, "--grace-period=0", "--force");
  assert.equal(request(pod, "web", "/bin/app"), 0);
  assert.equal(request(pod, "web", "/bin/other"), TIMED_OUT);
  cluster.kubectl("-n", SYSTEM, "scale", OPERATOR, "--replicas=1");
  await productReady(cluster);
  assert.equal(request(pod, "web", "/bin/app"), 0);
  assert.equal(request(pod, "web", "/bin/other"), TIMED_OUT);
});

test("what is in force stays so while the API server is away, and all goes on when it is back", async () => {
  const [pod] = shops;
  assert.ok(pod);
  const container = containerOf(pod, "web");
  const node = cluster.nodes.find(({ place }) => place.name === pod.spec.nodeName);
  const probe = (program: string) => node?.exec(container, program, ...verbs());
  cluster.controlPlane.stopApiServer();
  try {
    assert.equal(probe("/bin/app"), 0);
    assert.equal(probe("/bin/other"), TIMED_OUT);
  } finally {
    await cluster.controlPlane.startApiServer();
  }
  cluster.apply(profile({ ...toServer, cidr4: ["192.0.2.1/32"] }));
  await becomes(TIMED_OUT, () => request(pod, "web", "/bin/app"));
  cluster.apply(profile(toServer));
  await becomes(0, () => request(pod, "web", "/bin/app"));
});

test("a new pod of the workload is guarded as those before", async () => {
  cluster.kubectl("delete", "pod", ...shops.map(({ metadata }) => metadata.name), "--wait=true");
  cluster.kubectl("rollout", "status", "deploy/shop", "--timeout=60s");
  for (const pod of pods("shop")) {
    await becomes(0, () => request(pod, "web", "/bin/app"));
    assert.equal(request(pod, "web", "/bin/other"), TIMED_OUT);
  }
});

test("a deleted profile judges nothing any more", async () => {
  cluster.kubectl("delete", "sp", "shop");
  const [pod] = pods("shop");
  assert.ok(pod);
  await becomes(0, () => request(pod, "web", "/bin/other"));
});

test("uninstalling takes everything off the nodes", async () => {
  cluster.apply(profile(toServer));
  const [pod] = pods("shop");
  assert.ok(pod);
  await becomes(TIMED_OUT, () => request(pod, "web", "/bin/other"));
  uninstallProduct(cluster);
  assert.equal(request(pod, "web", "/bin/other"), 0);
  const left = () => cluster.kubectl("-n", SYSTEM, "get", "pods", "-o", "name").trim();
  await eventually("its pods to end", () => left() === "", { timeout: 40_000, describe: left });
  for (const node of cluster.nodes) assert.doesNotMatch(node.run("ls", "/sys/fs/bpf"), /portcullis/);
});
