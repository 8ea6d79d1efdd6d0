/** The agent of a node on the real kernel: pods that are network namespaces, and an operator on loopback. */

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Binding, PodPhase, type PodState } from "../../gen/agent_pb.js";
import { compileTable } from "../../policy/compile/compile.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import { processOf, profileOf } from "../../policy/testing/profiles.ts";
import { detachAll, NOTHING_REMOVED } from "../enforce/detach.ts";
import { inspectNode } from "../enforce/inspect.ts";
import { STATE_FILE } from "../enforce/state/state.ts";
import { DEFAULT_SETTINGS } from "../enforce/tables/settings.ts";
import { SILENT } from "../enforce/testing/workloads.ts";
import { ForeignFiles } from "../foreign-files/foreign-files.ts";
import { HAS_FUSE, hangAt, OWN_FILES } from "../foreign-files/testing/hung-files.ts";
import { loadPeerRedirect } from "../kernel/testing/peer-redirect-program.ts";
import { AgentMetrics } from "./agent-metrics.ts";
import { ClusterAgent } from "./cluster-agent.ts";
import { KeptState } from "./kept-state.ts";
import { PodBindings } from "./pod-bindings.ts";
import { fullState, testBinding } from "./testing/bindings.ts";
import { makeCertificates } from "./testing/certificates.ts";
import { FakeOperator } from "./testing/fake-operator.ts";
import { type FakeContainer, type FakePod, FakePods, makePods, ping, removePods } from "./testing/fake-pods.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-ca-"));
const pinRoot = `/sys/fs/bpf/pc-ca-test-${process.pid}`;
const stateDirectory = join(folder, "state");
const root = join(folder, "root");
const certificates = makeCertificates(folder, "operator.test");
const tokenFile = join(folder, "token");
const PODS: FakePod[] = ["w", "s"].map((letter, subnet) => {
  const name = `pc-ca-${letter}${process.pid}`;
  return { name, uid: `uid-${name}`, subnet };
});
const [WEB, SHOP] = PODS.map(({ name }) => name) as [string, string];
const uid = (name: string) => `uid-${name}`;

class RunningAgent {
  readonly metrics = new AgentMetrics();
  readonly workloads: FakePods;
  readonly agent: ClusterAgent;
  readonly files = new ForeignFiles({ log: SILENT, limit: 3000 });

  constructor(port: number, startupTimeout = 60_000, keptDirectory = stateDirectory) {
    const kept = new KeptState(keptDirectory);
    const bindings = new PodBindings(kept.load() ?? undefined, join(folder, "no-logs"));
    this.workloads = new FakePods(PODS, bindings, (name) => containers.get(name) ?? { cgroupId: 1n, root });
    const address = {
      target: `127.0.0.1:${port}`,
      serverName: "operator.test",
      caFile: certificates.caFile,
      tokenFile,
    };
    this.agent = new ClusterAgent({
      pinRoot,
      stateDirectory,
      settings: DEFAULT_SETTINGS,
      workloads: this.workloads,
      files: this.files,
      sink: { write: () => {}, end: () => Promise.resolve() },
      startupFailurePolicy: "Allow",
      startupTimeout,
      log: SILENT,
      operator: {
        address,
        nodeName: "node-1",
        version: "0",
        searchDomains: [],
        reconnect: { initial: 20, maximum: 50, maximumAnswered: 50 },
      },
      bindings,
      kept,
      exemptNamespaces: new Set(),
      blockNamespaces: new Set(),
      metrics: this.metrics,
      records: null,
    });
  }

  close(): void {
    this.agent.close();
    this.workloads.close();
    this.files.close();
  }
}

/** Of pods whose container is another than the others'. */
const containers = new Map<string, FakeContainer>();

/** Together several times the second for which what was replaced is kept. */
const EDITS = 60;
const EDIT_PAUSE_MS = 100;

let operator: FakeOperator;
let running: RunningAgent | null = null;
let revision = 0n;

before(async () => {
  writeFileSync(tokenFile, "token");
  mkdirSync(join(root, "bin"), { recursive: true });
  // As below /proc/PID: an overlay whose upper layer is empty, so that all is of the image.
  mkdirSync(join(folder, "upper"));
  writeFileSync(
    join(folder, "mountinfo"),
    `1 0 0:1 / / rw - overlay overlay rw,lowerdir=/l,upperdir=${join(folder, "upper")}\n`,
  );
  writeFileSync(join(folder, "stat"), readFileSync("/proc/self/stat"));
  writeFileSync(join(root, "bin/busybox"), "");
  for (const link of ["one", "two"]) symlinkSync("busybox", join(root, "bin", link));
  makePods(PODS);
  operator = new FakeOperator();
  await operator.start(certificates);
});

after(() => {
  running?.close();
  operator.stop();
  removePods(PODS);
  if (existsSync(pinRoot)) detachAll(pinRoot, stateDirectory);
  rmSync(folder, { recursive: true, force: true });
});

async function until<T>(what: string, look: () => T | null | undefined | false): Promise<T> {
  for (let turn = 0; turn < 500; turn += 1) {
    const found = look();
    if (found !== null && found !== undefined && found !== false) return found;
    await sleep(10);
  }
  return assert.fail(`not within 5 s: ${what}`);
}

/** As the operator would know it: what was reported last of each pod. */
function reported(name: string): PodState | undefined {
  return operator
    .said("podStates")
    .flatMap(({ pods }) => pods)
    .findLast(({ podUid }) => podUid === uid(name));
}

const phase = (name: string, wanted: PodPhase) =>
  until(`${PodPhase[wanted]} of ${name}`, () => reported(name)?.phase === wanted && reported(name));

const status = (name: string) =>
  inspectNode(pinRoot, stateDirectory).workloads.find(
    (workload) => workload.name === name || workload.name === uid(name),
  );

function push(tables: RuleTable[], ...bindings: Binding[]): void {
  revision += 1n;
  operator.connections.at(-1)?.send(...fullState(revision, tables, bindings));
}

const bindingOf = (name: string, table: RuleTable | null) => testBinding(uid(name), table, { name });

const egress = (cidr: string) => ({ cidr4: [cidr], l4: { protocols: ["icmp" as const] } });
const tableFor = (path: string, cidr = "10.99.0.1/32") =>
  compileTable([profileOf("p", { actions: ["enforce"], processes: [processOf(path, { egress: egress(cidr) })] })], {
    searchDomains: [],
  });

test("pods wait until the operator has described them, and then have what it sent", async () => {
  running = new RunningAgent(operator.port);
  await until("a connection", () => operator.connections.length === 1);
  assert.deepEqual([status(WEB)?.state, status(SHOP)?.state], ["pending", "pending"]);
  const table = tableFor("/bin/app");
  push([table], bindingOf(WEB, table), bindingOf(SHOP, null));
  const state = await phase(WEB, PodPhase.ENFORCED);
  await phase(SHOP, PodPhase.UNRESTRICTED);
  assert.deepEqual([state.tableHash, state.code], [table.hash, ""]);
  assert.deepEqual([status(WEB)?.state, status(WEB)?.table], ["enforced", table.hash]);
  assert.equal(status(SHOP)?.state, "unrestricted");
  assert.match(await running.metrics.registry.metrics(), /portcullis_agent_pods\{phase="enforced"\} 1/);
});

test("what the kernel drops is counted for the profile", async () => {
  ping(PODS[0] as FakePod);
  const dropped = await until("counters", () =>
    operator
      .said("counters")
      .flatMap(({ processes }) => processes)
      .find(({ verdicts }) => verdicts.some(({ verdict }) => verdict === "dropped")),
  );
  assert.deepEqual([dropped.profile, dropped.path], ["default/p", ""], "ping is not listed");
});

test("a link in the image gives its rights to its file, and is reported", async () => {
  const table = tableFor("/bin/one");
  push([table], bindingOf(WEB, table), bindingOf(SHOP, null));
  const state = await until("the link", () => reported(WEB)?.sharedFiles.length === 1 && reported(WEB));
  assert.deepEqual([state.phase, state.tableHash], [PodPhase.ENFORCED, table.hash]);
  assert.deepEqual(
    state.sharedFiles.map(({ path, names }) => [path, names]),
    [["/bin/one", ["/bin/busybox"]]],
  );
  assert.deepEqual(status(WEB)?.sharedFiles, [{ listed: "main:/bin/one", file: "/bin/busybox" }]);
});

test("a container that is restarted in place, with a link that leads elsewhere, has that link followed anew", async () => {
  const restarted = join(folder, "restarted/root");
  mkdirSync(join(restarted, "bin"), { recursive: true });
  for (const file of ["mountinfo", "stat"]) copyFileSync(join(folder, file), join(restarted, "..", file));
  writeFileSync(join(restarted, "bin/nginx"), "");
  symlinkSync("nginx", join(restarted, "bin/one"));
  containers.set(WEB, { cgroupId: 2n, root: restarted });
  try {
    const table = tableFor("/bin/one");
    push([table], bindingOf(WEB, table), bindingOf(SHOP, null));
    const state = await until("the other file", () => {
      const files = reported(WEB)?.sharedFiles ?? [];
      return files.some(({ names }) => names.includes("/bin/nginx")) && files;
    });
    assert.deepEqual(
      state.map(({ path, names }) => [path, names]),
      [["/bin/one", ["/bin/nginx"]]],
      "what it led to before has no rights any more",
    );
    assert.deepEqual(status(WEB)?.sharedFiles, [{ listed: "main:/bin/one", file: "/bin/nginx" }]);
  } finally {
    containers.clear();
  }
});

test("edits that follow one another without a pause do not keep what they replaced", async () => {
  let most = 0;
  for (let edit = 1; edit <= EDITS; edit += 1) {
    const table = tableFor("/bin/app", `10.99.${edit}.0/24`);
    push([table], bindingOf(WEB, table), bindingOf(SHOP, null));
    await until(`edit ${edit}`, () => status(WEB)?.table === table.hash);
    const { tables } = JSON.parse(readFileSync(join(stateDirectory, STATE_FILE), "utf8"));
    most = Math.max(most, tables.length);
    await sleep(EDIT_PAUSE_MS);
  }
  assert.ok(most < EDITS / 2, `${most} tables of ${EDITS} were there at once`);
});

test("a table that does not fit leaves the pod's old one in force, and others alone", async () => {
  const before = status(WEB)?.table;
  const many = Array.from({ length: 33 }, (_, n) =>
    profileOf(`p${n}`, {
      processes: ["/bin/one", "/bin/two"].map((path) => processOf(path, { egress: egress(`10.${n}.0.0/16`) })),
    }),
  );
  const tooMuch = compileTable(many, { searchDomains: [] });
  const other = tableFor("/bin/other");
  push([tooMuch, other], bindingOf(WEB, tooMuch), bindingOf(SHOP, other));
  const failed = await phase(WEB, PodPhase.FAILED);
  assert.match(failed.message, /66 blocks .*at most 64/);
  const enforced = await phase(SHOP, PodPhase.ENFORCED);
  assert.equal(enforced.tableHash, other.hash);
  assert.equal(status(WEB)?.table, before);
  assert.equal(operator.said("refusal").length, 0);
});

test("a pod whose files hang is reported, and everybody else is served", {
  skip: !HAS_FUSE && "no FUSE here",
}, async () => {
  const hungRoot = join(folder, "hung");
  mkdirSync(join(hungRoot, "bin"), { recursive: true });
  const hung = spawn("unshare", [...OWN_FILES, "sh", "-c", hangAt(join(hungRoot, "bin"))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(hung.stdout, "data");
    const pid = readFileSync(`/proc/${hung.pid}/task/${hung.pid}/children`, "utf8").trim();
    containers.set(WEB, { cgroupId: 1n, root: `/proc/${pid}/root${hungRoot}` });
    const table = tableFor("/bin/hanging");
    push([table], bindingOf(WEB, table), bindingOf(SHOP, table));
    await until("the other pod has it", () => status(SHOP)?.table === table.hash);
    assert.deepEqual(status(WEB)?.problems, [], "it has waited for the one that hangs");
    assert.notEqual(status(WEB)?.table, table.hash);
    await until("the one that hangs has it too", () => status(WEB)?.table === table.hash);
    assert.deepEqual(
      status(WEB)?.problems.map(({ code }) => code),
      ["PC_FILES_HUNG"],
    );
    const problems = () => operator.said("nodeProblems").at(-1)?.problems ?? [];
    const reported = await until("the operator knows", () => problems().find(({ code }) => code === "PC_FILES_HUNG"));
    assert.ok(reported.message.includes(WEB));
    assert.equal(reported.reducesEnforcement, false);
    running?.metrics.collect();
    assert.match((await running?.metrics.registry.metrics()) ?? "", /portcullis_agent_file_looks\{result="hung"\} 1/);
  } finally {
    hung.kill("SIGKILL");
    containers.clear();
  }
  await until("it answers again", () => status(WEB)?.problems.length === 0);
});

const nodeProblem = (code: string) =>
  (operator.said("nodeProblems").at(-1)?.problems ?? []).find((problem) => problem.code === code);

test("a program of another that delivers past the veths is reported by name, for as long as it is loaded", async () => {
  const edit = () => {
    const table = tableFor(`/bin/edited${performance.now()}`);
    push([table], bindingOf(WEB, table), bindingOf(SHOP, table));
  };
  {
    using _delivers = loadPeerRedirect("pc_delivers");
    edit();
    await until("it is reported", () => nodeProblem("PC_PEER_REDIRECT")?.message.includes("pc_delivers"));
    assert.equal(nodeProblem("PC_PEER_REDIRECT")?.reducesEnforcement, true);
  }
  edit();
  await until("it is gone", () => !nodeProblem("PC_PEER_REDIRECT")?.message.includes("pc_delivers"));
});

/** A small file system in a folder, which is filled in between. */
async function onSmallDisk(disk: string, work: (fill: () => void, free: () => void) => Promise<void>): Promise<void> {
  mkdirSync(disk, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", disk]);
  const file = join(disk, "filling");
  const fill = () => {
    const { status: written } = spawnSync("dd", ["if=/dev/zero", `of=${file}`, "bs=4k"], { stdio: "ignore" });
    assert.notEqual(written, 0, "it is full");
  };
  try {
    await work(fill, () => rmSync(file));
  } finally {
    execFileSync("umount", ["--lazy", disk]);
  }
}

test("where the disk is full, what the operator says is in force, and nothing older is after a start without it", () =>
  onSmallDisk(join(folder, "kept"), async (fill, free) => {
    running?.close();
    const connections = operator.connections.length;
    running = new RunningAgent(operator.port, 60_000, join(folder, "kept"));
    await until("a connection", () => operator.connections.length > connections);
    const [first, second] = [tableFor("/bin/app"), tableFor("/bin/app", "10.99.0.2/32")];
    push([first], bindingOf(WEB, first), bindingOf(SHOP, null));
    await until("the first", () => status(WEB)?.table === first.hash);
    fill();
    push([second], bindingOf(WEB, second), bindingOf(SHOP, null));
    await until("the second", () => status(WEB)?.table === second.hash);
    await until("it is reported", () => nodeProblem("PC_STATE_KEPT")?.message.includes("ENOSPC"));
    assert.equal(nodeProblem("PC_STATE_KEPT")?.reducesEnforcement, false);
    assert.equal(operator.said("refusal").length, 0);
    running.close();
    running = new RunningAgent(1, 200, join(folder, "kept"));
    await sleep(400);
    assert.equal(status(WEB)?.table, second.hash);
    running.close();
    free();
    const before = operator.connections.length;
    running = new RunningAgent(operator.port, 60_000, join(folder, "kept"));
    await until("a connection", () => operator.connections.length > before);
    push([second], bindingOf(WEB, second), bindingOf(SHOP, null));
    await until("it is kept", () => existsSync(join(folder, "kept", "operator-state.bin")));
    assert.equal(existsSync(join(folder, "kept", "operator-state.outdated.bin")), false);
    await until("and no problem any more", () => nodeProblem("PC_STATE_KEPT") === undefined);
  }));

test("why the kernel is not in line with what is wanted is reported, until it is", async () => {
  running?.close();
  const connections = operator.connections.length;
  running = new RunningAgent(operator.port);
  await until("a connection", () => operator.connections.length > connections);
  const kept = join(folder, "elsewhere");
  renameSync(stateDirectory, kept);
  try {
    // A file where the folder has to be: nothing can be written.
    writeFileSync(stateDirectory, "");
    const table = tableFor("/bin/app", "10.99.0.3/32");
    push([table], bindingOf(WEB, table), bindingOf(SHOP, null));
    const problem = await until("it is reported", () => nodeProblem("PC_KERNEL_BEHIND"));
    assert.equal(problem.reducesEnforcement, true);
  } finally {
    rmSync(stateDirectory);
    renameSync(kept, stateDirectory);
  }
  await until("it is in line", () => nodeProblem("PC_KERNEL_BEHIND") === undefined);
});

test("without an operator the agent starts with what it knew, and changes nothing", async () => {
  const table = tableFor("/bin/app");
  push([table], bindingOf(WEB, table), bindingOf(SHOP, null));
  await until("the change", () => reported(WEB)?.tableHash === table.hash);
  running?.close();
  operator.stop();
  const before = status(WEB);
  running = new RunningAgent(operator.port, 200);
  await sleep(400);
  const now = status(WEB);
  assert.deepEqual([now?.table, now?.state, now?.since], [table.hash, "enforced", before?.since]);
  assert.equal(status(SHOP)?.state, "unrestricted");
  assert.notEqual(running.metrics.disconnected, null);
});

test("when the operator is back it learns what is held, and need not send it", async () => {
  const back = new FakeOperator();
  await back.start(certificates, operator.port);
  operator = back;
  const { hello } = await until("a connection", () => operator.connections[0]);
  assert.deepEqual(hello.tables.length, 1);
  await phase(WEB, PodPhase.ENFORCED);
});

test("a pod that is gone leaves nothing behind", async () => {
  removePods(PODS.slice(0, 1));
  push([], bindingOf(SHOP, null));
  await until("that it is gone", () => status(WEB) === undefined);
  await until("that its rules are gone", () => {
    const used = inspectNode(pinRoot, stateDirectory).maps.filter(({ name }) =>
      ["rulesets", "peers4", "binaries"].includes(name),
    );
    return used.every(({ entries }) => entries === 0);
  });
  await until("that it is reported", () =>
    operator.said("podStates").some(({ removed }) => removed.includes(uid(WEB))),
  );
});

test("detaching takes the kept state away too", () => {
  running?.close();
  running = null;
  assert.notDeepEqual(detachAll(pinRoot, stateDirectory), NOTHING_REMOVED);
  assert.equal(existsSync(pinRoot), false);
  assert.equal(new KeptState(stateDirectory).load(), null);
});
