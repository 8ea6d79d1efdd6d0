import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { PortcullisError } from "../../../api/errors.ts";
import { compileTable } from "../../../policy/compile/compile.ts";
import { egressProfile } from "../../../policy/testing/profiles.ts";
import type { Workload, WorkloadContainer } from "../../discovery/workload.ts";
import { ForeignFiles } from "../../foreign-files/foreign-files.ts";
import { SILENT, testWorkload } from "../testing/workloads.ts";
import { ContainerFiles, type FittedTable, listedName } from "./container-files.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-container-files-"));
after(() => rmSync(folder, { recursive: true }));

/**
 * The root of a process in which /bin/wget leads to busybox, by a link that is absolute: inside, not out here.
 * @param changed what an overlay's upper layer has, by path
 */
function rootWithLink(name: string, ...changed: string[]): string {
  const [root, upper] = [join(folder, name, "root"), join(folder, name, "upper")];
  mkdirSync(join(root, "bin"), { recursive: true });
  for (const path of ["bin/x", ...changed]) {
    mkdirSync(dirname(join(upper, path)), { recursive: true });
    writeFileSync(join(upper, path), "");
  }
  writeFileSync(join(folder, name, "mountinfo"), `1 0 0:1 / / rw - overlay overlay rw,lowerdir=/l,upperdir=${upper}\n`);
  writeFileSync(join(folder, name, "stat"), readFileSync("/proc/self/stat"));
  for (const file of ["busybox", "sh"]) writeFileSync(join(root, "bin", file), "");
  symlinkSync("/bin/busybox", join(root, "bin/wget"));
  return root;
}

const table = compileTable([egressProfile({ cidr4: ["10.0.0.0/8"] }, "/bin/wget")], { searchDomains: [] });
const named = (fitted: FittedTable | null) =>
  fitted?.table.binaries.map(({ path, container }) => `${path} ${container}`);
const listing = (...containers: WorkloadContainer[]) => testWorkload(1, { podUid: "a", containers });

/** Looks here and now, as the helper process does elsewhere. */
const files = new ForeignFiles({ log: SILENT });
after(() => files.close());
let looked = Promise.withResolvers<void>();
const fitting = new ContainerFiles({
  files,
  processesOf: () => [],
  onLooked: () => looked.resolve(),
  onError: (_, error) => assert.fail(String(error)),
});

/** What comes of it once the files are known. */
async function fit(workload: Workload, known: Record<string, string> = {}, fitted = table): Promise<FittedTable> {
  looked = Promise.withResolvers();
  const first = fitting.fit(fitted, workload, known);
  if (first !== null) return first;
  await looked.promise;
  return fitting.fit(fitted, workload, known) ?? assert.fail("still looking");
}

test("a link is followed in the container's own root, once in its life", async () => {
  const root = rootWithLink("app");
  const app = { name: "app", cgroupId: 7n, root };
  const first = await fit(listing(app));
  assert.deepEqual(named(first), ["/bin/busybox app", "/bin/wget null"]);
  rmSync(join(root, "bin/wget"));
  symlinkSync("/bin/sh", join(root, "bin/wget"));
  assert.deepEqual(named(await fit(listing(app), first.files)), named(first));
});

test("a container that is restarted in place has its own links followed", async () => {
  const [before, now] = [rootWithLink("before"), rootWithLink("now")];
  rmSync(join(now, "bin/wget"));
  symlinkSync("/bin/sh", join(now, "bin/wget"));
  const first = await fit(listing({ name: "app", cgroupId: 8n, root: before }));
  const restarted = await fit(listing({ name: "app", cgroupId: 9n, root: now }), first.files);
  assert.deepEqual(named(restarted), ["/bin/sh app", "/bin/wget null"]);
  assert.deepEqual(Object.keys(restarted.files).map(listedName), ["app:/bin/wget"]);
});

test("attack: a link that was planted in the container lends nobody the rights of a path that is listed later", async () => {
  const planted = { name: "app", cgroupId: 12n, root: rootWithLink("planted", "bin/wget") };
  assert.deepEqual(named(await fit(listing(planted))), ["/bin/wget null"]);
});

test("binary: Any follows links whoever made them", async () => {
  const profile = egressProfile({ cidr4: ["10.0.0.0/8"] }, "/bin/wget");
  for (const process of profile.spec.processes ?? []) process.binary = "Any";
  const any = compileTable([profile], { searchDomains: [] });
  const planted = { name: "app", cgroupId: 13n, root: rootWithLink("any", "bin/wget") };
  assert.deepEqual(named(await fit(listing(planted), {}, any)), ["/bin/busybox app", "/bin/wget null"]);
});

test("a container without a process is fitted later", async () => {
  const waiting = await fit(listing({ name: "app", cgroupId: 10n }));
  assert.equal(waiting.table, table);
  assert.deepEqual(waiting.files, {});
});

test("while files hang, listed paths are themselves", async () => {
  const problem = new PortcullisError("PC_FILES_HUNG", "hung");
  let isHung = false;
  const refusing = {
    ask: () => {
      isHung = true;
      return Promise.reject(problem);
    },
    problemOf: () => (isHung ? problem : null),
  };
  const ended = Promise.withResolvers<void>();
  const hanging = new ContainerFiles({
    files: refusing,
    processesOf: () => [],
    onLooked: () => ended.resolve(),
    onError: () => {},
  });
  const workload = listing({ name: "app", cgroupId: 11n, root: rootWithLink("hung") });
  assert.equal(hanging.fit(table, workload, {}), null);
  await ended.promise;
  assert.deepEqual(hanging.fit(table, workload, {}), { table, files: {} });
});

/** As nobody: its root is shut off from who has no CAP_SYS_PTRACE. The second one is root's, and open to who is root. */
function startProcesses(): [ChildProcess, ChildProcess] {
  const sleep = (...how: string[]) => spawn("setpriv", [...how, "sleep", "60"], { stdio: "ignore" });
  return [sleep("--reuid=65534", "--regid=65534", "--clear-groups"), sleep("--bounding-set=-sys_ptrace")];
}

/** What fitting comes to for an agent without CAP_SYS_PTRACE, with the processes of a container: paths listed, and the problem. */
function fitWithout(pids: readonly number[], path: string): { listed: string[]; problem: string | null } {
  const program = `
    const { ContainerFiles } = await import("${import.meta.dirname}/container-files.ts");
    const { ForeignFiles } = await import("${import.meta.dirname}/../../foreign-files/foreign-files.ts");
    const { compileTable } = await import("${import.meta.dirname}/../../../policy/compile/compile.ts");
    const { egressProfile } = await import("${import.meta.dirname}/../../../policy/testing/profiles.ts");
    const { SILENT, testWorkload } = await import("${import.meta.dirname}/../testing/workloads.ts");
    const files = new ForeignFiles({ log: SILENT });
    const profile = egressProfile({ cidr4: ["10.0.0.0/8"] }, ${JSON.stringify(path)});
    for (const process of profile.spec.processes) process.binary = "Any";
    const table = compileTable([profile], { searchDomains: [] });
    const workload = testWorkload(1, { podUid: "a", containers: [{ name: "app", cgroupId: 1n, root: "/proc/${pids[0]}/root" }] });
    const looked = Promise.withResolvers();
    const fitting = new ContainerFiles({ files, processesOf: () => ${JSON.stringify(pids)}, onLooked: looked.resolve, onError: () => {} });
    fitting.fit(table, workload, {});
    await looked.promise;
    const fitted = fitting.fit(table, workload, {});
    const listed = fitted.table.binaries.map(({ path }) => path);
    console.log(JSON.stringify({ listed, problem: fitting.problemOf?.(workload)?.message ?? null }));
    files.close();`;
  const text = execFileSync(
    "setpriv",
    [
      "--bounding-set=-sys_ptrace",
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      "--input-type=module",
      "--eval",
      program,
    ],
    { encoding: "utf8" },
  );
  return JSON.parse(text) as { listed: string[]; problem: string | null };
}

test("a root that the agent may not look into is reported, unless another process of the container lets it in", async () => {
  const link = join(folder, "link");
  symlinkSync("/usr/bin/env", link);
  const processes = startProcesses();
  try {
    const [shut, open] = processes.map(({ pid }) => pid ?? assert.fail("it does not start")) as [number, number];
    // Until it is nobody's.
    while (statSync(`/proc/${shut}`).uid !== 65534) await new Promise((settle) => setTimeout(settle, 5));
    const alone = fitWithout([shut], link);
    assert.deepEqual(alone.listed, [link]);
    assert.match(
      alone.problem ?? "",
      new RegExp(`no process of the container .*/proc/${shut}/root: EACCES.*CAP_SYS_PTRACE`),
    );
    assert.deepEqual(fitWithout([shut, open], link), { listed: ["/usr/bin/env", link].sort(), problem: null });
  } finally {
    for (const process of processes) process.kill("SIGKILL");
  }
});
