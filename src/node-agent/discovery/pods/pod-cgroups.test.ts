/** Hierarchies as they are laid out on nodes, in ordinary folders. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { containerProcesses, NESTED_MAX, PodCgroupTree } from "./pod-cgroups.ts";

const UID = "8f7a1c1e-5c0b-4d8e-9d3d-2f0a0b6f6f11";
const SLICE_UID = UID.replaceAll("-", "_");
const SLICE = `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${SLICE_UID}.slice`;
const [FIRST, SECOND] = ["a".repeat(64), "b".repeat(64)] as [string, string];

const folder = mkdtempSync(join(tmpdir(), "pc-cgroups-"));
after(() => rmSync(folder, { recursive: true }));

function hierarchy(name: string, ...cgroups: string[]): string {
  const root = join(folder, name);
  for (const cgroup of cgroups) mkdirSync(join(root, cgroup), { recursive: true });
  return root;
}

function inode(path: string): bigint {
  return statSync(path, { bigint: true }).ino;
}

function look(...roots: { path: string; unified: boolean }[]) {
  using tree = new PodCgroupTree(roots, () => {});
  return tree.look();
}

test("systemd's driver: containers are scopes, with what they make below", () => {
  const scope = `${SLICE}/cri-containerd-${FIRST}.scope`;
  const others = ["system.slice/containerd.service", "user.slice", `${SLICE}/crio-conmon-${FIRST}.scope`];
  const path = hierarchy("systemd", `${scope}/init.scope`, `${SLICE}/cri-containerd-${SECOND}.scope`, ...others);
  const pods = look({ path, unified: true });
  assert.deepEqual([...pods.keys()], [UID]);
  const containers = pods.get(UID)?.containers ?? [];
  assert.deepEqual(
    containers.map(({ id }) => id),
    [FIRST, SECOND],
  );
  const expected = [join(path, scope), join(path, scope, "init.scope")];
  assert.deepEqual(containers[0]?.folders, expected);
  assert.deepEqual(containers[0]?.cgroupIds, expected.map(inode));
});

test("a container that makes cgroups without number is looked at as far as a limit, nearest ones first", () => {
  const pod = `kubepods/besteffort/pod${UID}`;
  const chain = Array.from({ length: 50 }, (_, depth) => `a${"/a".repeat(depth)}`);
  const many = Array.from({ length: 200 }, (_, index) => `n${index}`);
  const path = hierarchy(
    "flood",
    ...[...chain, ...many].map((name) => `${pod}/${FIRST}/${name}`),
    `${pod}/${SECOND}/own`,
  );
  const [first, second] = look({ path, unified: true }).get(UID)?.containers ?? [];
  assert.equal(first?.cgroupIds.length, NESTED_MAX + 1);
  assert.equal(first?.folders[0], join(path, pod, FIRST));
  assert.ok(first.folders.every((folder) => !folder.includes("/a/a")));
  assert.deepEqual(second?.folders, [join(path, pod, SECOND), join(path, pod, SECOND, "own")]);
});

test("v1 beside v2: what is in both is known by v2; what is in v1 only has no id", () => {
  const pod = `kubepods/besteffort/pod${UID}`;
  const unified = hierarchy("unified", `${pod}/${FIRST}`);
  const pids = hierarchy("pids", `${pod}/${FIRST}`, `${pod}/${SECOND}`);
  const pods = look({ path: unified, unified: true }, { path: pids, unified: false });
  const [first, second] = pods.get(UID)?.containers ?? [];
  assert.deepEqual(first?.cgroupIds, [inode(join(unified, pod, FIRST))]);
  assert.deepEqual([second?.id, second?.cgroupIds], [SECOND, []]);
});

test("a runtime that does not ask systemd has its containers below its own service, whatever that is called", () => {
  const names = ["containerd.service", "snap.cluster.daemon.service"].map(
    (service, index) =>
      `system.slice/${service}/kubepods-pod${SLICE_UID}.slice:cri-containerd:${[FIRST, SECOND][index]}`,
  );
  const path = hierarchy("unsplit", ...names, "system.slice/cron.service", "user.slice/session-1.scope/below");
  const containers = look({ path, unified: true }).get(UID)?.containers ?? [];
  assert.deepEqual(
    containers.map(({ id, folders }) => [id, folders]),
    [FIRST, SECOND].map((id, index) => [id, [join(path, names[index] ?? "")]]),
  );
});

test("the first container below a runtime's service makes a look stale", async () => {
  const root = hierarchy("service", "system.slice/k3s.service", "system.slice/cron.service");
  using tree = new PodCgroupTree([{ path: root, unified: true }], () => {});
  tree.look();
  tree.look();
  mkdirSync(join(root, `system.slice/k3s.service/kubepods-pod${SLICE_UID}.slice:cri-containerd:${FIRST}`));
  await sleep(50);
  assert.equal(tree.stale, true);
  assert.deepEqual([...tree.look().keys()], [UID]);
});

test("processes are read from a container's cgroups, and from none that is gone", () => {
  const cgroup = join(hierarchy("procs", `kubepods/pod${UID}/${FIRST}`), `kubepods/pod${UID}/${FIRST}`);
  writeFileSync(join(cgroup, "cgroup.procs"), "12\n13\n0\n");
  assert.deepEqual(containerProcesses({ id: FIRST, cgroupIds: [], folders: [cgroup, "/nowhere"] }), [12, 13]);
});

test("a cgroup that comes, and one that goes, makes a look stale", async () => {
  const root = hierarchy("watched", "kubepods/burstable");
  let changed = 0;
  using tree = new PodCgroupTree([{ path: root, unified: true }], () => changed++);
  tree.look();
  tree.look();
  assert.equal(tree.stale, false);
  const pod = join(root, `kubepods/burstable/pod${UID}`);
  mkdirSync(pod);
  await sleep(50);
  assert.equal(tree.stale, true);
  tree.look();
  tree.look();
  mkdirSync(join(pod, FIRST));
  await sleep(50);
  assert.equal(tree.stale, true);
  assert.equal(tree.look().get(UID)?.containers.length, 1);
  rmdirSync(join(pod, FIRST));
  await sleep(50);
  assert.equal(tree.stale, true);
  assert.ok(changed >= 3);
});

test("§9 where others have used up all watches of the user (inotify), a new container is noticed all the same", () => {
  const pod = `kubepods/besteffort/pod${UID}`;
  const path = hierarchy("unwatched", pod);
  const module = join(import.meta.dirname, "pod-cgroups.ts");
  const program = `import { mkdirSync } from "node:fs";
    import { PodCgroupTree } from ${JSON.stringify(module)};
    const tree = new PodCgroupTree([{ path: ${JSON.stringify(path)}, unified: true }], () => {});
    const noticed = () => { const { stale } = tree; tree.look(); return stale; };
    noticed(); noticed();
    const before = noticed();
    mkdirSync(${JSON.stringify(join(path, pod, FIRST))});
    console.log(JSON.stringify([before, noticed(), noticed()]));`;
  const node = [process.execPath, "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program];
  const none = 'echo 0 >/proc/sys/user/max_inotify_watches && exec "$@"';
  const output = execFileSync("unshare", ["-Ur", "sh", "-c", none, "sh", ...node], { encoding: "utf8" });
  assert.deepEqual(JSON.parse(output), [false, true, false]);
});
