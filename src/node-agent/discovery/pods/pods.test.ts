/** Pods that are a process in a network namespace, and a folder for a cgroup. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SILENT } from "../../enforce/testing/workloads.ts";
import { ForeignFiles } from "../../foreign-files/foreign-files.ts";
import type { PodDirectory, PodFacts } from "./pod-facts.ts";
import { PodWorkloads } from "./pods.ts";

const UID = "8f7a1c1e-5c0b-4d8e-9d3d-2f0a0b6f6f11";
const ID = "a".repeat(64);
const NETNS = `pc-pods-${process.pid}`;
const VETH = `pcp${process.pid}`;

const root = mkdtempSync(join(tmpdir(), "pc-pods-"));
const cgroup = join(root, `kubepods/besteffort/pod${UID}/${ID}`);
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill("SIGKILL");
  execFileSync("ip", ["netns", "delete", NETNS]);
  rmSync(root, { recursive: true });
});

execFileSync("ip", ["netns", "add", NETNS]);
execFileSync("ip", ["link", "add", VETH, "type", "veth", "peer", "name", "eth0", "netns", NETNS]);
execFileSync("ip", ["-n", NETNS, "address", "add", "10.99.0.2/24", "dev", "eth0"]);
execFileSync("ip", ["-n", NETNS, "link", "set", "eth0", "up"]);

class Facts implements PodDirectory {
  facts: PodFacts | null = null;
  readonly #listeners = new Set<() => void>();

  find(uid: string): PodFacts | null {
    return uid === UID ? this.facts : null;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const facts = new Facts();
const files = new ForeignFiles({ log: SILENT });
after(() => files.close());
const pods = new PodWorkloads(facts, {
  files,
  hierarchies: [{ path: root, unified: true }],
  onError: (error) => {
    throw error;
  },
});
after(() => pods.close());

function processIn(...enter: string[]): Promise<number> {
  return processWith(enter, ["sh", "-c", "echo; exec sleep 60"]);
}

/** Starts a command that says a line once it runs. */
async function processWith(enter: string[], command: string[]): Promise<number> {
  const child = spawn("nsenter", [...enter, "--", ...command], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  children.push(child);
  await new Promise((settle) => child.stdout?.once("data", settle));
  return child.pid as number;
}

/** A process whose mounts say that it is in this container, as anybody's can who makes a user namespace. */
function processThatSays(container: string): Promise<number> {
  const memory = join(root, `memory-${container}`);
  const log = join(memory, `pods/${UID}/containers/${container}/deadbeef`);
  const script = `mount -t tmpfs none ${memory} && mkdir -p ${log} && mount --bind ${log} /mnt && echo && exec sleep 60`;
  mkdirSync(memory);
  return processWith([`--net=/run/netns/${NETNS}`], ["unshare", "-Um", "--map-root-user", "sh", "-c", script]);
}

function setProcesses(...pids: number[]): void {
  mkdirSync(cgroup, { recursive: true });
  writeFileSync(join(cgroup, "cgroup.procs"), pids.map((pid) => `${pid}\n`).join(""));
}

test("a pod whose process is still in the node's namespace is not there yet", async () => {
  assert.deepEqual(pods.snapshot(), { workloads: [], unresolved: [] });
  setProcesses(await processIn());
  const { workloads, unresolved } = pods.refresh();
  assert.equal(workloads.length, 0);
  assert.equal(unresolved[0]?.problem.code, "PC_POD_STARTING");
});

test("a pod that nobody has described is found under its uid, with its interface and addresses", async () => {
  setProcesses(await processIn(`--net=/run/netns/${NETNS}`));
  const [workload] = pods.refresh().workloads;
  assert.ok(workload);
  assert.deepEqual([workload.name, workload.namespace, workload.podUid], [UID, "", UID]);
  assert.deepEqual(
    workload.interfaces.map(({ name, hostIfname }) => [name, hostIfname]),
    [["eth0", VETH]],
  );
  assert.ok(workload.addresses.includes("10.99.0.2"));
  assert.deepEqual(workload.containers, []);
});

test("what it learns of it gives it its name, and its containers theirs", () => {
  const labels = { app: "web" };
  const containers = [{ name: "app", id: ID }];
  facts.facts = { uid: UID, namespace: "shop", name: "web-1", labels, containers, hostNetwork: false };
  const [workload] = pods.refresh().workloads;
  assert.deepEqual([workload?.name, workload?.namespace, workload?.labels], ["web-1", "shop", labels]);
  assert.deepEqual(
    workload?.containers.map(({ name }) => name),
    ["app"],
  );
});

test("whoever leaves for another namespace does not take the pod along", async () => {
  const [before] = pods.refresh().workloads;
  const stays = await processIn(`--net=/run/netns/${NETNS}`);
  const leaves = await processIn("--net=/proc/self/ns/net");
  setProcesses(leaves, stays);
  assert.equal(pods.refresh().workloads[0]?.netnsInum, before?.netnsInum);
});

test("the search domains are the pod's, and unknown while its first process has the node's root", async () => {
  assert.equal(pods.refresh().workloads[0]?.searchDomains, null);
  const image = join(root, "image");
  mkdirSync(join(image, "etc"), { recursive: true });
  writeFileSync(join(image, "etc/resolv.conf"), "nameserver 10.96.0.10\nsearch shop.svc.cluster.local cluster.local\n");
  copyFileSync("/bin/busybox", join(image, "busybox"));
  const command = ["chroot", image, "/busybox", "sh", "-c", "echo; exec /busybox sleep 60"];
  const made = await processWith([`--net=/run/netns/${NETNS}`], command);
  setProcesses(made);
  // What files tell comes a moment later.
  const known = () => pods.refresh().workloads[0]?.searchDomains ?? null;
  for (let turn = 0; known() === null && turn < 300; turn += 1) await sleep(10);
  assert.deepEqual(known(), ["shop.svc.cluster.local", "cluster.local"]);
});

test("a container's oldest process tells its name and root, whatever a later one with mounts of its own says", async () => {
  const described = facts.facts;
  assert.ok(described);
  facts.facts = { ...described, containers: [] };
  const folder = join(root, `kubepods/besteffort/pod${UID}/${"b".repeat(64)}`);
  mkdirSync(folder);
  const first = await processThatSays("app");
  await sleep(20); // two ticks of the clock that processes' starts are counted in
  const later = await processThatSays("other");
  writeFileSync(join(folder, "cgroup.procs"), `${later}\n${first}\n`);
  const named = () => pods.refresh().workloads[0]?.containers.filter(({ root }) => root !== undefined) ?? [];
  for (let turn = 0; named().length === 0 && turn < 300; turn += 1) await sleep(10);
  assert.deepEqual(
    named().map(({ name, root }) => [name, root]),
    [["app", `/proc/${first}/root`]],
  );
  rmSync(folder, { recursive: true });
  facts.facts = described;
});

test("a pod on the host's network is no workload, and says why", () => {
  const described = facts.facts;
  assert.ok(described);
  facts.facts = { ...described, hostNetwork: true };
  const { workloads, unresolved } = pods.refresh();
  assert.equal(workloads.length, 0);
  assert.deepEqual([unresolved[0]?.problem.code, unresolved[0]?.name], ["PC_POD_HOST_NETWORK", "web-1"]);
  facts.facts = described;
  assert.equal(pods.refresh().workloads.length, 1);
});

test("a pod goes with its cgroup", () => {
  rmSync(join(root, "kubepods"), { recursive: true });
  assert.deepEqual(pods.refresh(), { workloads: [], unresolved: [] });
});
