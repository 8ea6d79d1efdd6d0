import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMountInfo } from "./overlay.ts";
import { containerOfMounts } from "./process-files.ts";

const UID = "8f7a1c1e-5c0b-4d8e-9d3d-2f0a0b6f6f11";
const LOG = `/var/lib/kubelet/pods/${UID}/containers/web/1234abcd`;
const ROOTFS = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/1/rootfs";

const READY = `87 60 0:50 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/u
88 87 0:52 / /proc rw - proc proc rw
89 87 0:53 / /dev rw - tmpfs tmpfs rw
93 89 254:0 ${LOG} /dev/termination-log rw - ext4 /dev/vda rw
94 87 254:0 /var/lib/kubelet/pods/${UID}/etc-hosts /etc/hosts rw - ext4 /dev/vda rw
`;
const MAKING = `60 1 254:0 / / rw - ext4 /dev/vda rw
61 60 0:22 / /proc rw - proc proc rw
87 60 0:50 / ${ROOTFS} rw - overlay overlay rw,lowerdir=/l,upperdir=/u
88 87 0:52 / ${ROOTFS}/proc rw - proc proc rw
93 89 254:0 ${LOG} ${ROOTFS}/dev/termination-log rw - ext4 /dev/vda rw
`;

const look = (text: string, uid = UID) => containerOfMounts(parseMountInfo(text), uid);

test("the kubelet's mount in a container tells its name", () => {
  assert.deepEqual(look(READY), { name: "web", ownRoot: true });
});

test("until its file system is the root, the container has a name and no root", () => {
  assert.deepEqual(look(MAKING), { name: "web", ownRoot: false });
});

test("another pod's mount, a sandbox and a process of the node tell nothing", () => {
  assert.equal(look(READY, "another"), null);
  assert.equal(look("87 60 0:50 / / rw - overlay overlay rw\n"), null);
  assert.equal(
    look(
      `60 1 254:0 / / rw - ext4 /dev/vda rw\n70 60 254:0 ${LOG.replace("/containers", "/volumes")} /v rw - ext4 x rw\n`,
    ),
    null,
  );
});
