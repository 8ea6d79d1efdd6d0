/** Paths in the shapes that runtimes and drivers give them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseProcessCgroups, podCgroup, podOfProcess } from "./cgroups.ts";

const UID = "8f7a1c1e-5c0b-4d8e-9d3d-2f0a0b6f6f11";
const SLICE_UID = UID.replaceAll("-", "_");
const STATIC_UID = "4f4eafc3d0ae7f3a9a4f6d0f2c7b0a11";
const ID = "3e1c8f0b4a6d2e9f7c5b1a0d8e6f4c2b9a7d5e3f1c0b8a6d4e2f9c7b5a3d1e0f";
const container = { podUid: UID, containerId: ID, exact: true };

const CONTAINERS: Record<string, string> = {
  "containerd, cgroupfs, burstable": `/kubepods/burstable/pod${UID}/${ID}`,
  "containerd, cgroupfs, guaranteed": `/kubepods/pod${UID}/${ID}`,
  "containerd, cgroupfs, own root": `/lab1/kubepods/besteffort/pod${UID}/${ID}`,
  "containerd, systemd, burstable": `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${SLICE_UID}.slice/cri-containerd-${ID}.scope`,
  "containerd, systemd, guaranteed": `/kubepods.slice/kubepods-pod${SLICE_UID}.slice/cri-containerd-${ID}.scope`,
  "containerd, systemd, kind": `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod${SLICE_UID}.slice/cri-containerd-${ID}.scope`,
  "containerd without SystemdCgroup, kubelet with": `/system.slice/containerd.service/kubepods-burstable-pod${SLICE_UID}.slice:cri-containerd:${ID}`,
  "containerd without SystemdCgroup, at the root": `/kubepods-besteffort-pod${SLICE_UID}.slice:cri-containerd:${ID}`,
  "CRI-O, systemd": `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${SLICE_UID}.slice/crio-${ID}.scope`,
  "CRI-O, systemd, crun": `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${SLICE_UID}.slice/crio-${ID}.scope/container`,
  "CRI-O, cgroupfs": `/kubepods/besteffort/pod${UID}/crio-${ID}`,
  "Docker, cgroupfs": `/kubepods/besteffort/pod${UID}/${ID}`,
  "Docker, systemd": `/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${SLICE_UID}.slice/docker-${ID}.scope`,
  "Docker in Docker node, cgroupfs": `/docker/${"a".repeat(64)}/kubelet/kubepods/besteffort/pod${UID}/${ID}`,
  "seen from inside another cgroup namespace": `/../../pod${UID}/${ID}`,
};

for (const [what, path] of Object.entries(CONTAINERS)) {
  test(`a container's cgroup: ${what}`, () => assert.deepEqual(podCgroup(path), container));
}

test("a static pod has the hash of its manifest for a uid", () => {
  assert.deepEqual(podCgroup(`/kubepods/burstable/pod${STATIC_UID}/${ID}`), { ...container, podUid: STATIC_UID });
  assert.deepEqual(
    podCgroup(
      `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${STATIC_UID}.slice/cri-containerd-${ID}.scope`,
    ),
    { ...container, podUid: STATIC_UID },
  );
});

test("the pod's own cgroup is no container's", () => {
  const pod = { podUid: UID, containerId: null, exact: true };
  assert.deepEqual(podCgroup(`/kubepods/burstable/pod${UID}`), pod);
  assert.deepEqual(podCgroup(`/kubepods.slice/kubepods-pod${SLICE_UID}.slice`), pod);
});

test("what a container makes below its cgroup is the container's", () => {
  const inner = { ...container, exact: false };
  const outer = `/kubepods/burstable/pod${UID}/${ID}`;
  assert.deepEqual(podCgroup(`${outer}/init.scope`), inner);
  assert.deepEqual(podCgroup(`${outer}/docker/${"b".repeat(64)}`), inner);
  assert.deepEqual(podCgroup(`${outer}/kubepods/burstable/pod${STATIC_UID}/${"c".repeat(64)}`), inner);
});

test("CRI-O's monitor sits in the pod's cgroup and is no container", () => {
  const path = `/kubepods.slice/kubepods-pod${SLICE_UID}.slice/crio-conmon-${ID}.scope`;
  assert.deepEqual(podCgroup(path), { podUid: UID, containerId: null, exact: false });
});

test("others are no pod's", () => {
  for (const path of [
    "/",
    "",
    "/kubepods",
    "/kubepods/burstable",
    "/kubepods.slice/kubepods-besteffort.slice",
    "/system.slice/containerd.service",
    `/docker/${ID}`,
    `/system.slice/docker-${ID}.scope`,
    `/machine.slice/libpod-${ID}.scope`,
    "/user.slice/user-1000.slice/podman.service",
    "/kubepods/burstable/podnonsense",
    `/kubepods/burstable/pod${UID.slice(1)}/${ID}`,
  ]) {
    assert.equal(podCgroup(path), null, path);
  }
});

const HYBRID = `13:misc:/
12:pids:/kubepods/burstable/pod${UID}/${ID}
11:cpu,cpuacct:/kubepods/burstable/pod${UID}/${ID}
1:name=systemd:/kubepods/burstable/pod${UID}/${ID}
0::/kubepods/burstable/pod${UID}/${ID}
`;
const V1 = `12:pids:/kubepods/burstable/pod${UID}/${ID}
3:cpuset:/kubepods/burstable/pod${UID}/${ID}
1:name=systemd:/kubepods/burstable/pod${UID}/${ID}
0::/system.slice/containerd.service
`;
const V2 = `0::/kubepods.slice/kubepods-pod${SLICE_UID}.slice/cri-containerd-${ID}.scope\n`;

test("a process's cgroups: v2, v1 hybrid, and v1 where only those lead to the pod", () => {
  for (const text of [V2, HYBRID, V1]) assert.deepEqual(podOfProcess(parseProcessCgroups(text)), container);
});

test("a process of the node is in no pod", () => {
  assert.equal(podOfProcess(parseProcessCgroups("0::/system.slice/kubelet.service\n")), null);
  assert.equal(podOfProcess(parseProcessCgroups("")), null);
});

test("lines keep colons that are part of a path", () => {
  assert.deepEqual(parseProcessCgroups("4:memory:/a:b:c\n1:name=systemd:/x\n"), [
    { controllers: ["memory"], path: "/a:b:c" },
    { controllers: ["name=systemd"], path: "/x" },
  ]);
});
