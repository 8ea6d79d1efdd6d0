import assert from "node:assert/strict";
import { test } from "node:test";
import { podWeaknesses, processWeaknesses, type SecuredPodSpec } from "./weaknesses.ts";

type Context = NonNullable<SecuredPodSpec["securityContext"]>;
const of = (container: Context, pod: SecuredPodSpec = {}) =>
  podWeaknesses({ ...pod, containers: [{ securityContext: container }] });
const HARDENED: Context = { capabilities: { drop: ["ALL"] }, seccompProfile: { type: "RuntimeDefault" } };

test("a pod as Kubernetes makes it has NET_RAW, and no seccomp profile", () => {
  assert.deepEqual(podWeaknesses({ containers: [{}] }), ["netRaw", "userNamespaces"]);
});

test("a hardened pod has nothing beyond need", () => {
  assert.deepEqual(of(HARDENED), []);
  assert.deepEqual(of({ capabilities: { drop: ["NET_RAW"] } }, { securityContext: HARDENED }), []);
  const user: Context = { runAsNonRoot: true, allowPrivilegeEscalation: false };
  assert.deepEqual(of(user, { securityContext: { seccompProfile: { type: "Localhost" } } }), []);
});

test("what is asked for counts, by any of its names, in any container, the worst first", () => {
  assert.deepEqual(of({ ...HARDENED, capabilities: { drop: ["ALL"], add: ["CAP_NET_ADMIN", "sys_ptrace"] } }), [
    "netAdmin",
    "sysPtrace",
  ]);
  assert.deepEqual(of({ ...HARDENED, capabilities: { add: ["ALL"] } }), [
    "sysAdmin",
    "netAdmin",
    "sysPtrace",
    "netRaw",
  ]);
  assert.deepEqual(of(HARDENED, { hostPID: true, volumes: [{ hostPath: { path: "/dev/fuse" } }] }), [
    "hostPid",
    "fuse",
  ]);
  assert.deepEqual(
    podWeaknesses({
      containers: [{ securityContext: HARDENED }],
      initContainers: [{ securityContext: { privileged: true } }],
    }),
    ["privileged"],
  );
});

test("a user who may become root by a setuid file keeps the capabilities", () => {
  assert.deepEqual(of({ runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } }), ["netRaw"]);
});

test("processes are judged by what they are seen to have", () => {
  const container = { capabilities: 0xa80425fbn, seccomp: 2, rootType: "overlay" };
  assert.deepEqual(processWeaknesses([container]), ["netRaw"]);
  assert.deepEqual(processWeaknesses([{ ...container, capabilities: 0n }]), []);
  assert.deepEqual(processWeaknesses([{ capabilities: 0x1ffffffffffn, seccomp: 0, rootType: "ext4" }]), [
    "privileged",
    "noOverlay",
  ]);
  assert.deepEqual(processWeaknesses([container, { ...container, capabilities: 1n << 12n, seccomp: 0 }]), [
    "netAdmin",
    "netRaw",
    "userNamespaces",
  ]);
});
