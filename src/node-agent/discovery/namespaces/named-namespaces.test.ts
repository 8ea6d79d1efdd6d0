import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inNetworkNamespace } from "../../ffi/namespaces.ts";
import { addAddress } from "../../netlink/addresses.ts";
import { RouteConnection } from "../../netlink/connection.ts";
import { createVethPair, deleteLink, findLink, moveLink, setLinkUp } from "../../netlink/links.ts";
import type { WorkloadSnapshot } from "../workload.ts";
import { addBoundNamespace, boundNamespaceInum, removeBoundNamespace } from "./bound-namespaces.ts";
import { NamedNamespaces } from "./named-namespaces.ts";
import { parseNamedNamespace } from "./namespace-argument.ts";

const NAME = `pc-wl-${process.pid}`;
const OTHER = `${NAME}-other`;
const HOST_END = `pcwl${process.pid}`;
const own = new RouteConnection();
let source: NamedNamespaces | null = null;

function cleanUp(): void {
  source?.close();
  source = null;
  for (const suffix of ["", "b"]) {
    const link = findLink(own, `${HOST_END}${suffix}`);
    if (link !== null) deleteLink(own, link.index);
  }
  removeBoundNamespace(NAME);
  removeBoundNamespace(OTHER);
  rmSync(`/etc/netns/${NAME}`, { recursive: true, force: true });
}

beforeEach(cleanUp);
afterEach(cleanUp);

function openSource(): NamedNamespaces {
  const onError = (error: unknown): void => {
    throw error;
  };
  source = new NamedNamespaces([parseNamedNamespace(`${NAME}:app=ping`)], { onError });
  return source;
}

function connect(path: string, inner: string, hostEnd: string, hostPath: string | null = null): void {
  using host = new RouteConnection(hostPath);
  const namespace = openSync(path, "r");
  createVethPair(host, { name: hostEnd, peerName: inner, peerNamespaceFd: namespace });
  closeSync(namespace);
}

function configure(path: string, inner: string, address: string, prefixLength: number): string {
  using inside = new RouteConnection(path);
  const link = findLink(inside, inner);
  assert.ok(link);
  addAddress(inside, { linkIndex: link.index, address, prefixLength });
  setLinkUp(inside, link.index);
  return link.mac;
}

/** Waits, at most three seconds, until a snapshot is as wanted. */
async function until(
  from: NamedNamespaces,
  wanted: (snapshot: WorkloadSnapshot) => boolean,
): Promise<WorkloadSnapshot> {
  for (const deadline = performance.now() + 3000; performance.now() < deadline; await sleep(5)) {
    if (wanted(from.snapshot())) return from.snapshot();
  }
  assert.fail(`not seen in time; last: ${JSON.stringify(from.snapshot())}`);
}

test("a namespace with a veth is a workload with its addresses, labels and interfaces", () => {
  const path = addBoundNamespace(NAME);
  connect(path, "eth0", HOST_END);
  configure(path, "eth0", "10.213.255.2", 30);
  const mac = configure(path, "eth0", "fd5b:9c1e:42a7:ffff::2", 64);
  const { workloads, unresolved } = openSource().snapshot();
  assert.deepEqual(unresolved, []);
  const [workload] = workloads;
  assert.ok(workload);
  assert.equal(workload.name, NAME);
  assert.equal(workload.namespace, "default");
  assert.deepEqual(workload.labels, { app: "ping" });
  assert.equal(workload.netnsPath, path);
  assert.equal(workload.netnsInum, boundNamespaceInum(path));
  assert.ok(workload.nsid >= 0);
  const host = findLink(own, HOST_END);
  assert.deepEqual(workload.interfaces, [{ name: "eth0", mac, hostIfindex: host?.index, hostIfname: HOST_END }]);
  assert.ok(workload.addresses.includes("10.213.255.2"));
  assert.ok(workload.addresses.includes("fd5b:9c1e:42a7:ffff::2"));
  assert.ok(!workload.addresses.includes("127.0.0.1"));
  assert.deepEqual(workload.problems, []);
});

test("a namespace that is not there yet is unresolved, and picked up when it appears", async () => {
  const from = openSource();
  assert.equal(from.snapshot().unresolved[0]?.problem.code, "PC_NETNS_ABSENT");
  const path = addBoundNamespace(NAME);
  await until(from, ({ unresolved }) => unresolved[0]?.problem.code === "PC_NETNS_WITHOUT_VETH");
  connect(path, "eth0", HOST_END);
  const { workloads } = await until(from, (snapshot) => snapshot.workloads.length === 1);
  assert.deepEqual(workloads[0]?.addresses, []);
  configure(path, "eth0", "10.213.255.2", 30);
  await until(from, (snapshot) => snapshot.workloads[0]?.addresses.includes("10.213.255.2") === true);
});

test("a namespace that is taken away is released, and another of its name is another workload", async () => {
  const first = addBoundNamespace(NAME);
  connect(first, "eth0", HOST_END);
  const from = openSource();
  const inum = from.snapshot().workloads[0]?.netnsInum;
  removeBoundNamespace(NAME);
  await until(from, ({ unresolved }) => unresolved[0]?.problem.code === "PC_NETNS_ABSENT");
  assert.equal(findLink(own, HOST_END), null);
  connect(addBoundNamespace(NAME), "eth0", HOST_END);
  const { workloads } = await until(from, (snapshot) => snapshot.workloads.length === 1);
  assert.ok(inum !== undefined && workloads[0] !== undefined);
});

test("a namespace whose name is taken away stays a workload while a process lives in it", async () => {
  const path = addBoundNamespace(NAME);
  connect(path, "eth0", HOST_END);
  const namespace = openSync(path, "r");
  const child = inNetworkNamespace(namespace, () => spawn("sleep", ["30"]));
  closeSync(namespace);
  const from = openSource();
  removeBoundNamespace(NAME);
  await sleep(200);
  assert.equal(from.refresh().workloads.length, 1);
  child.kill("SIGKILL");
  await until(from, (snapshot) => snapshot.workloads.length === 0);
});

test("a veth made here and moved in is found, too", async () => {
  const path = addBoundNamespace(NAME);
  const from = openSource();
  connect("/proc/self/ns/net", `${HOST_END}b`, HOST_END);
  const end = findLink(own, `${HOST_END}b`);
  assert.ok(end);
  const namespace = openSync(path, "r");
  moveLink(own, end.index, namespace);
  closeSync(namespace);
  const { workloads } = await until(from, (snapshot) => snapshot.workloads.length === 1);
  assert.deepEqual(
    workloads[0]?.interfaces.map(({ name, hostIfname }) => [name, hostIfname]),
    [[`${HOST_END}b`, HOST_END]],
  );
});

test("every veth is guarded; one that leads elsewhere is a problem", () => {
  const path = addBoundNamespace(NAME);
  const other = addBoundNamespace(OTHER);
  connect(path, "eth0", HOST_END);
  connect(path, "eth1", `${HOST_END}b`);
  connect(path, "eth2", "veth0", other);
  configure(path, "eth2", "10.213.255.6", 30);
  const [workload] = openSource().snapshot().workloads;
  assert.deepEqual(workload?.interfaces.map(({ name }) => name).sort(), ["eth0", "eth1"]);
  assert.deepEqual(
    workload?.problems.map(({ code }) => code),
    ["PC_INTERFACE_UNGUARDED"],
  );
  assert.match(workload?.problems[0]?.message ?? "", /eth2 \(veth\)/);
});

test("a namespace whose only veth leads elsewhere is not guarded, and says so", () => {
  const path = addBoundNamespace(NAME);
  connect(path, "eth2", "veth0", addBoundNamespace(OTHER));
  const { workloads, unresolved } = openSource().snapshot();
  assert.deepEqual(workloads, []);
  assert.equal(unresolved[0]?.problem.code, "PC_NETNS_WITHOUT_VETH");
  assert.match(unresolved[0]?.problem.message ?? "", /eth2 \(veth\)/);
});

test("the search domains are those of the namespace's own resolv.conf", () => {
  mkdirSync(`/etc/netns/${NAME}`, { recursive: true });
  writeFileSync(`/etc/netns/${NAME}/resolv.conf`, "search default.svc.cluster.local svc.cluster.local\n");
  connect(addBoundNamespace(NAME), "eth0", HOST_END);
  const [workload] = openSource().snapshot().workloads;
  assert.deepEqual(workload?.searchDomains, ["default.svc.cluster.local", "svc.cluster.local"]);
});

test("listeners hear the state at once, each change once, and nothing after they are gone", async () => {
  const from = openSource();
  const heard: WorkloadSnapshot[] = [];
  const end = from.subscribe((snapshot) => heard.push(snapshot));
  assert.equal(heard.length, 1);
  from.refresh();
  assert.equal(heard.length, 1);
  addBoundNamespace(NAME);
  await until(from, ({ unresolved }) => unresolved[0]?.problem.code === "PC_NETNS_WITHOUT_VETH");
  assert.equal(heard.length, 2);
  end();
  removeBoundNamespace(NAME);
  await until(from, ({ unresolved }) => unresolved[0]?.problem.code === "PC_NETNS_ABSENT");
  assert.equal(heard.length, 2);
});

test("one name given twice is refused", () => {
  const twice = [parseNamedNamespace(`${NAME}:a=b`), parseNamedNamespace(NAME)];
  assert.throws(() => new NamedNamespaces(twice, { onError: () => undefined }), { code: "PC_NETNS_ARGUMENT" });
});
