/** Paths as people have reported them from their nodes: every runtime, driver and version of cgroups. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseProcessCgroups, podCgroup, podOfProcess } from "./cgroups.ts";

interface Sample {
  what: string;
  /** Where it was published. */
  source: string;
  /** A path, or lines of /proc/PID/cgroup. */
  text: string;
  podUid: string;
  /** Null: a cgroup of the pod that is no container's. */
  containerId: string | null;
}

const SAMPLES: readonly Sample[] = [
  {
    what: "containerd, systemd, v1 hybrid",
    source: "https://github.com/netdata/netdata/issues/4868",
    text: "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod03f3f104_3215_44f2_9686_d4dd1f05a7ed.slice/cri-containerd-09d185410c4e25236cc24717f881589bb0978b24eafd101624e627a4dd8d3439.scope",
    podUid: "03f3f104-3215-44f2-9686-d4dd1f05a7ed",
    containerId: "09d185410c4e25236cc24717f881589bb0978b24eafd101624e627a4dd8d3439",
  },
  {
    what: "containerd, systemd, a static pod, whose uid is the hash of its manifest",
    source: "https://github.com/netdata/netdata/issues/4868",
    text: "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod187bff14cccb94f179e943eacce55bb3.slice/cri-containerd-c203a2647ef1ad78e990157c50331f3b6ef0b03336cf08535d6bf7faa5421415.scope",
    podUid: "187bff14cccb94f179e943eacce55bb3",
    containerId: "c203a2647ef1ad78e990157c50331f3b6ef0b03336cf08535d6bf7faa5421415",
  },
  {
    what: "containerd, systemd, v2, in kind",
    source: "https://github.com/containerd/nri/pull/227",
    text: "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod1e597579_417e_482f_bf65_5fe170c3aebd.slice/cri-containerd-a09bc17f5aa29b0dbdec9ede5f46cf1396d2405917ab02e6f1eb1019f388396e.scope",
    podUid: "1e597579-417e-482f-bf65-5fe170c3aebd",
    containerId: "a09bc17f5aa29b0dbdec9ede5f46cf1396d2405917ab02e6f1eb1019f388396e",
  },
  {
    what: "containerd, cgroupfs, v1",
    source: "https://github.com/Qard/container-info, test/fixtures/result.js",
    text: "11:devices:/kubepods/besteffort/pod74c13223-5a00-11e9-b385-42010a80018d/34dc0b5e626f2c5c4c5170e34b10e7654ce36f0fcd532739f4445baabea03376",
    podUid: "74c13223-5a00-11e9-b385-42010a80018d",
    containerId: "34dc0b5e626f2c5c4c5170e34b10e7654ce36f0fcd532739f4445baabea03376",
  },
  {
    what: "containerd that is not told of systemd, a kubelet that is, v1: below the runtime's service, or at the root",
    source: "https://github.com/open-telemetry/opentelemetry-java/issues/4507",
    text: `11:perf_event:/kubepods-besteffort-pod0125ec2f_b64a_4868_8f5b_94b56cbab864.slice:cri-containerd:ee4b20e90ac7f42a10bd004d05646b13d8ab5e2c5e7cbc01abf8006bac016459
10:blkio:/system.slice/containerd.service/kubepods-besteffort-pod0125ec2f_b64a_4868_8f5b_94b56cbab864.slice:cri-containerd:ee4b20e90ac7f42a10bd004d05646b13d8ab5e2c5e7cbc01abf8006bac016459`,
    podUid: "0125ec2f-b64a-4868-8f5b-94b56cbab864",
    containerId: "ee4b20e90ac7f42a10bd004d05646b13d8ab5e2c5e7cbc01abf8006bac016459",
  },
  {
    what: "the same, in the hierarchy that is systemd's own",
    source: "https://github.com/elastic/apm-agent-nodejs/issues/3550",
    text: "1:name=systemd:/system.slice/containerd.service/kubepods-burstable-podff49d0be_16b7_4a49_bb9e_8ec1f1f4e27f.slice:cri-containerd:0f99ad5f45163ed14ab8eaf92ed34bb4a631d007f8755a7d79be614bcb0df0ef",
    podUid: "ff49d0be-16b7-4a49-bb9e-8ec1f1f4e27f",
    containerId: "0f99ad5f45163ed14ab8eaf92ed34bb4a631d007f8755a7d79be614bcb0df0ef",
  },
  {
    what: "CRI-O, systemd, v1",
    source: "https://github.com/elastic/apm, tests/agents/json-specs/cgroup_parsing.json",
    text: "1:name=systemd:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod90d81341_92de_11e7_8cf2_507b9d4141fa.slice/crio-2227daf62df6694645fee5df53c1f91271546a9560e8600a525690ae252b7f63.scope",
    podUid: "90d81341-92de-11e7-8cf2-507b9d4141fa",
    containerId: "2227daf62df6694645fee5df53c1f91271546a9560e8600a525690ae252b7f63",
  },
  {
    what: "CRI-O, systemd, v2, a sandbox without a process: no scope",
    source: "https://github.com/containerd/nri/pull/227",
    text: "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod35550f44_f691_427e_b57d_ab6127d2cb65.slice/crio-468f848e2ebec7203ed55748d08337851af589ac42eb551c572446a5c68fe631",
    podUid: "35550f44-f691-427e-b57d-ab6127d2cb65",
    containerId: "468f848e2ebec7203ed55748d08337851af589ac42eb551c572446a5c68fe631",
  },
  {
    what: "CRI-O, systemd: the monitor of a container is in the pod, and no container",
    source: "https://github.com/opencontainers/runc/issues/4620",
    text: "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod207aaad1_659f_4db8_88e0_46e0cdcc3004.slice/crio-conmon-32da98c8522068be05a7510a3eddb09cad6ed2f03286180d0e931d0d0b6224a6.scope",
    podUid: "207aaad1-659f-4db8-88e0-46e0cdcc3004",
    containerId: null,
  },
  {
    what: "CRI-O, systemd, a node in a Docker container",
    source: "https://github.com/kubernetes/minikube/issues/11280",
    text: "/docker/d6701ec289c56e4391acb11d07474b3139466857a305490575508a8b7a9fcf22/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod2ca4a155_3599_498d_bb9d_4446693fa3ea.slice/crio-0ba8ac17e4e7a31fb82279503552fe94e64bab4745bf6fd2ff231e7c8ca8bed0.scope",
    podUid: "2ca4a155-3599-498d-bb9d-4446693fa3ea",
    containerId: "0ba8ac17e4e7a31fb82279503552fe94e64bab4745bf6fd2ff231e7c8ca8bed0",
  },
  {
    what: "CRI-O, cgroupfs, first versions: no prefix",
    source: "https://github.com/cri-o/cri-o/issues/811",
    text: "/kubepods/burstable/pod58662905-8ccc-11e7-a695-c85b76cda386/1659f887a192f3515dd9b91a41d274abf29ca49de3d2330869131b2d93b45b94",
    podUid: "58662905-8ccc-11e7-a695-c85b76cda386",
    containerId: "1659f887a192f3515dd9b91a41d274abf29ca49de3d2330869131b2d93b45b94",
  },
  {
    what: "CRI-O, cgroupfs",
    source: "https://github.com/falcosecurity/libs, tests of libsinsp: crio_cgroupfs",
    text: "/kubepods/besteffort/pod63b3ebfc-2890-11e9-8154-16bf8ef8d9dc/crio-73bfe475650de66df8e2affdc98d440dcbe84f8df83b6f75a68a82eb7026136a",
    podUid: "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc",
    containerId: "73bfe475650de66df8e2affdc98d440dcbe84f8df83b6f75a68a82eb7026136a",
  },
  {
    what: "Docker, cgroupfs",
    source: "https://github.com/duckdb/duckdb/pull/16608",
    text: "11:freezer:/kubepods/burstable/podc101fead-5fa2-4525-97af-5894973b336e/2b7a2f7fb72575bb50a46d68cceaf43a12a597184714cb33af2f6420f5314293",
    podUid: "c101fead-5fa2-4525-97af-5894973b336e",
    containerId: "2b7a2f7fb72575bb50a46d68cceaf43a12a597184714cb33af2f6420f5314293",
  },
  {
    what: "Docker, systemd",
    source: "https://github.com/lxc/lxc/issues/3890",
    text: "11:freezer:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7d4424e6_bb13_42f4_a47a_45a4828bf54d.slice/docker-d0b3604b67ac7930dd34ba3a796627e3e4717d12309e90a4afe3f38b6816ac98.scope",
    podUid: "7d4424e6-bb13-42f4-a47a-45a4828bf54d",
    containerId: "d0b3604b67ac7930dd34ba3a796627e3e4717d12309e90a4afe3f38b6816ac98",
  },
  {
    what: "Docker, systemd, guaranteed",
    source: "https://github.com/elastic/apm, tests/agents/json-specs/cgroup_parsing.json",
    text: "9:freezer:/kubepods.slice/kubepods-pod22949dce_fd8b_11ea_8ede_98f2b32c645c.slice/docker-b15a5bdedd2e7645c3be271364324321b908314e4c77857bbfd32a041148c07f.scope",
    podUid: "22949dce-fd8b-11ea-8ede-98f2b32c645c",
    containerId: "b15a5bdedd2e7645c3be271364324321b908314e4c77857bbfd32a041148c07f",
  },
  {
    what: "read in a cgroup namespace that is not the process's",
    source: "https://github.com/spiffe/spire, pkg/agent/plugin/workloadattestor/k8s",
    text: "0::/../../pod2c48913c-b29f-11e7-9350-020968147796/9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961",
    podUid: "2c48913c-b29f-11e7-9350-020968147796",
    containerId: "9bca8d63d5fa610783847915bcff0ecac1273e5b4bed3f6fa1b07350e0135961",
  },
];

for (const { what, source, text, podUid, containerId } of SAMPLES) {
  test(`${what} (${source})`, () => {
    const lines = parseProcessCgroups(text);
    const expected = { podUid, containerId, exact: containerId !== null };
    if (lines.length === 0) return assert.deepEqual(podCgroup(text), expected);
    assert.deepEqual(podOfProcess(lines), expected);
    for (const { path } of lines) assert.deepEqual(podCgroup(path), expected);
  });
}

const NO_PODS: Record<string, string> = {
  "https://github.com/elastic/apm (a terminal)":
    "/user.slice/user-1000.slice/user@1000.service/apps.slice/apps-org.gnome.Terminal.slice/vte-spawn-75bc72bd-6642-4cf5-b62c-0674e11bfc84.scope",
  "https://github.com/elastic/apm (a task of ECS)":
    "/ecs/03752a671e744971a862edcee6195646/03752a671e744971a862edcee6195646-4015103728",
  "https://github.com/alumet-dev/alumet/pull/463 (a pod of podman, which is not Kubernetes')":
    "/user.slice/user-1049.slice/user@1049.service/user.slice/user-libpod_pod_3206538f745dafcf8a9d41eb08cd2867031d2e12b79b195c10543a2078bba133.slice",
  "https://github.com/neuvector/neuvector (Docker without Kubernetes)":
    "/system.slice/docker-9ec39b91f3d70e1beff50a308f77067065ea6be0d91a3378375056cd4422cf3d.scope",
};

for (const [source, path] of Object.entries(NO_PODS)) {
  test(`no pod: ${source}`, () => assert.equal(podCgroup(path), null));
}
