/** The plugin with a kubectl that answers from a folder. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { DROPPED } from "../explain/testing/dropped-event.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-kp-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const condition = (type: string, status: string, reason = type, message = "") => ({ type, status, reason, message });
const profile = {
  apiVersion: "security.datadoghq.com/v1",
  kind: "SecurityProfile",
  metadata: {
    name: "shop",
    namespace: "web",
    uid: "1",
    resourceVersion: "7",
    generation: 2,
    labels: { app: "shop" },
  },
  spec: {
    actions: ["enforce"],
    processes: [{ path: "/bin/shop", network: { egress: { cidr4: ["10.0.0.0/8"], l4: { protocols: ["tcp"] } } } }],
  },
  status: { observedGeneration: 2, conditions: [condition("Accepted", "True"), condition("Enforced", "True")] },
};
const pod = { metadata: { name: "web-0", namespace: "web", labels: { app: "shop" } }, spec: { nodeName: "node-1" } };
const agent = {
  metadata: { name: "agent-x", namespace: "portcullis-system" },
  spec: { nodeName: "node-1" },
  status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
};
/** The operator's Lease, renewed so many seconds ago. */
const lease = (age: number, holder = "operator-x") => ({
  metadata: { name: "operator", annotations: { "security.datadoghq.com/leader-address": "10.0.0.9:8443" } },
  spec: { holderIdentity: holder, renewTime: new Date(Date.now() - age * 1000).toISOString() },
});
const node = (name: string, os = "linux") => ({ metadata: { name, labels: { "kubernetes.io/os": os } } });

interface Answers {
  profiles?: object[];
  nodes?: object[];
  agents?: object[];
  leases?: object[];
  /** What a second look at `leases` is answered. */
  laterLeases?: object[];
  /** What is refused, as `kind` of `get`, and in which words. */
  refused?: Record<string, string>;
}

/** A `kubectl` with these answers. */
function kubectl(answers: Answers): string {
  const {
    profiles = [profile],
    nodes = [node("node-1")],
    agents = [agent],
    leases = [lease(1)],
    refused = {},
  } = answers;
  const bin = mkdtempSync(join(folder, "bin-"));
  const list = (items: unknown[]) => JSON.stringify({ items });
  const files: Record<string, string> = {
    pod: JSON.stringify(pod),
    leases: list(leases),
    pods: list(agents),
    securityprofile: JSON.stringify(profiles[0] ?? null),
    securityprofiles: list(profiles),
    node: JSON.stringify(nodes[0] ?? null),
    nodes: list(nodes),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(bin, `${name}.json`), text);
  if (answers.laterLeases !== undefined) writeFileSync(join(bin, "leases.later"), list(answers.laterLeases));
  for (const [name, text] of Object.entries(refused)) writeFileSync(join(bin, `${name}.refused`), text);
  const script = `#!/bin/sh
cd "${bin}"
while case $1 in --*) true;; *) false;; esac; do shift; done
[ -e "$2.refused" ] && { cat "$2.refused" >&2; exit 1; }
case "$1 $*" in
  *--output=wide*) echo "NAME MODE"; echo "shop enforce";;
  get*) cat "$2.json"; if [ -e "$2.later" ]; then mv "$2.later" "$2.json"; fi;;
  describe*) echo "described $3";;
  exec*) echo "exec $*";;
  *) echo "not known: $*" >&2; exit 1;;
esac
`;
  writeFileSync(join(bin, "kubectl"), script, { mode: 0o755 });
  return bin;
}

function plugin(args: string[], answers: Answers = {}, input = "", environment: NodeJS.ProcessEnv = {}) {
  const main = join(import.meta.dirname, "main.ts");
  const env = { ...process.env, ...environment, PATH: `${kubectl(answers)}:${process.env.PATH}` };
  return spawnSync(process.execPath, [main, ...args], { encoding: "utf8", env, input });
}

const NAMED = { egress: { fqdns: ["www.example.com"], l4: { protocols: ["udp"] } } };
const QUESTION = ["--process", "/bin/shop", "--to", "10.1.2.3:80/tcp"];

test("explain asks the cluster's profiles about a pod", () => {
  const allowed = plugin(["explain", "web-0", "-n", "web", ...QUESTION]);
  assert.equal(allowed.status, 0, allowed.stderr);
  const refused = plugin(["explain", "web-0", "--process", "/bin/sh", "--to", "10.1.2.3:80/tcp"]);
  assert.equal(refused.status, 1, refused.stderr);
  assert.match(refused.stdout, /BinaryUnknown/);
  const apart = plugin(["explain", "web-0", "-n", "web", "--", ...QUESTION, "-o", "json"]);
  assert.equal(JSON.parse(apart.stdout).allowed, true, apart.stderr);
});

test("explain: a pod that no profile selects is not restricted, which is a no; an invalid profile is named and left out", () => {
  const none = plugin(["explain", "web-0", ...QUESTION], { profiles: [] });
  assert.equal(none.status, 1, none.stderr);
  assert.match(none.stdout, /^Not restricted: no profile selects it/m);
  const invalid = { ...profile, metadata: { ...profile.metadata, name: "bad" }, spec: { actions: ["sing"] } };
  const some = plugin(["explain", "web-0", ...QUESTION], { profiles: [profile, invalid] });
  assert.equal(some.status, 0, some.stderr);
  assert.match(some.stderr, /note: profile web\/bad is not valid, and left out: .*actions/);
});

test("explain: an event names its workload itself", () => {
  const event = {
    ...DROPPED,
    workload: { name: "web-0", namespace: "web", labels: { app: "shop" } },
    profiles: ["web/shop"],
    process: { pid: 42, path: "/usr/bin/nothing" },
    dst: { ip: "203.0.113.7", port: 5432 },
  };
  const { status, stdout, stderr } = plugin(
    ["explain", "--event", "-"],
    { profiles: [profile] },
    JSON.stringify(event),
  );
  assert.equal(status, 1, stderr);
  assert.match(stdout, /To allow it, add this to spec.processes\[0\] of the profile web\/shop:/);
  assert.match(plugin(["explain"]).stderr, /which pod\?/);
});

test("explain: a name that the pod's resolver has completed with the cluster's search list", () => {
  const named = { ...profile, spec: { ...profile.spec, processes: [{ path: "/bin/shop", network: NAMED }] } };
  const question = ["--process", "/bin/shop", "--dns", "www.example.com.web.svc.cluster.local"];
  const { status, stdout } = plugin(["explain", "web-0", "-n", "web", ...question], { profiles: [named] });
  assert.equal(status, 0, stdout);
  const elsewhere = ["--search-domain", "corp.example"];
  assert.equal(plugin(["explain", "web-0", ...question, ...elsewhere], { profiles: [named] }).status, 1);
});

test("explain: a question that is none is wrong usage", () => {
  const { status, stderr } = plugin(["explain", "web-0"]);
  assert.equal(status, 2);
  assert.match(stderr, /which process\?/);
});

test("status tells of nodes without an agent", () => {
  const good = plugin(["status"], { nodes: [node("node-1"), node("win", "windows")] });
  assert.equal(good.status, 0, good.stderr);
  assert.match(good.stdout, /shop enforce[\s\S]*every node has an agent/);
  const bad = plugin(["status"], { nodes: [node("node-1"), node("node-2")] });
  assert.equal(bad.status, 1);
  assert.match(bad.stdout, /node-2: there is no agent/);
});

test("status tells of profiles that are not in force, also to programs", () => {
  const failing = {
    ...profile,
    status: {
      observedGeneration: 2,
      conditions: [condition("Accepted", "True"), condition("Enforced", "False", "AgentMissing", "node n: away")],
    },
  };
  const unseen = { ...profile, metadata: { ...profile.metadata, name: "new", generation: 3 } };
  const text = plugin(["status"], { profiles: [profile, failing, unseen] });
  assert.equal(text.status, 1);
  assert.match(text.stdout, /web\/shop: Enforced is False: node n: away\n {2}web\/new: the operator has not looked/);
  const json = plugin(["status", "-o", "json"], { profiles: [failing] });
  assert.equal(json.status, 1);
  const report = JSON.parse(json.stdout);
  assert.deepEqual(
    [report.ok, report.profiles[0].problem, report.nodes],
    [false, "Enforced is False: node n: away", [{ name: "node-1", problem: null }]],
  );
  assert.equal(JSON.parse(plugin(["status", "-o", "json"]).stdout).ok, true);
});

test("status: its own sentences fit the terminal", () => {
  const message = Array.from({ length: 40 }, () => "words").join(" ");
  const conditions = [{ type: "Accepted", status: "False", reason: "Invalid", message }];
  const status = { observedGeneration: 1, conditions };
  const failing = { ...profile, metadata: { ...profile.metadata, generation: 1 }, status };
  const { stdout } = plugin(["status"], { profiles: [failing] }, "", { COLUMNS: "80" });
  const [, sentences = ""] = stdout.split(/(?=not in force as asked)/);
  assert.match(sentences, /words/);
  assert.deepEqual(
    sentences.split("\n").filter((line) => line.length > 80),
    [],
  );
});

test("status of one profile", () => {
  const one = plugin(["status", "shop", "-n", "web"]);
  assert.equal(one.status, 0, one.stderr);
  assert.match(one.stdout, /described shop/);
  assert.equal(JSON.parse(plugin(["status", "shop", "-o", "json"]).stdout).name, "shop");
  assert.equal(plugin(["status", "shop", "-A"]).status, 2);
});

test("who may see profiles only is shown these", () => {
  const words = (kind: string) => `Error from server (Forbidden): ${kind} is forbidden: User "u" cannot list it`;
  const refused = { nodes: words("nodes"), leases: words("leases") };
  const { status, stdout, stderr } = plugin(["status"], { refused });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /shop enforce[\s\S]*nodes are not shown.*\n.*operator is running is not shown/);
  assert.equal(JSON.parse(plugin(["status", "-o", "json"], { refused }).stdout).operator, null);
});

test("status says of which time it is where no operator has been at work for a minute", () => {
  const leases = [{ metadata: { name: "another" }, spec: { renewTime: new Date().toISOString() } }, lease(90)];
  const words = new RegExp(`no operator is running: statuses are as of ${lease(90).spec.renewTime.slice(0, 14)}`);
  const all = plugin(["status"], { leases });
  assert.equal(all.status, 3, all.stderr);
  assert.match(all.stdout, words);
  const one = plugin(["status", "shop", "-o", "json"], { leases });
  assert.equal(one.status, 3, one.stderr);
  const { operator } = JSON.parse(one.stdout);
  assert.equal(operator.holder, "operator-x");
  assert.match(operator.problem, words);
});

test("status: what nobody knows is not called amiss", () => {
  const away = { type: "Enforced", status: "Unknown", reason: "OperatorAway", message: "no operator has been at work" };
  const unknown = { ...profile, status: { ...profile.status, conditions: [away] } };
  const { status, stdout, stderr } = plugin(["status"], { leases: [lease(90)], profiles: [unknown] });
  assert.equal(status, 3, stderr);
  assert.match(stdout, /not known to be in force:\n {2}web\/shop: Enforced is Unknown: no operator has been at work/);
});

test("status: an operator that gave its Lease back is at work no more; what is amiss comes first", () => {
  const { status, stdout, stderr } = plugin(["status", "-o", "json"], { leases: [lease(90, "")], agents: [] });
  assert.equal(status, 1, stderr);
  const { ok, operator } = JSON.parse(stdout);
  assert.deepEqual([ok, operator.holder], [false, null]);
  assert.match(operator.problem, /no operator is running/);
});

test("status: an operator that never was at work is reported as such", () => {
  const { status, stdout, stderr } = plugin(["status"], { leases: [{ metadata: { name: "operator" }, spec: {} }] });
  assert.equal(status, 3, stderr);
  assert.match(stdout, /no operator has been at work in namespace portcullis-system/);
});

test("status: clocks that differ make nobody look dead, nor alive", () => {
  const kept = plugin(["status", "-o", "json"], { leases: [lease(300)], laterLeases: [lease(298)] });
  assert.equal(kept.status, 0, kept.stdout);
  assert.equal(JSON.parse(kept.stdout).operator.problem, null);
  const ahead = plugin(["status"], { leases: [lease(-300)] });
  assert.equal(ahead.status, 3, ahead.stdout);
});

test("doctor asks the node's agent", () => {
  assert.match(plugin(["doctor", "node-1"]).stdout, /agent-x --container=agent -- .*main\.ts doctor --output=text/);
  assert.match(plugin(["doctor", "node-1", "-o", "json"]).stdout, /doctor --output=json/);
});

test("doctor: a node without an agent, and one that there is not", () => {
  const without = plugin(["doctor", "node-1"], { agents: [] });
  assert.equal(without.status, 1);
  assert.match(without.stderr, /no agent on node node-1[\s\S]*--system-namespace/);
  const words = 'Error from server (NotFound): nodes "nodo" not found';
  assert.match(plugin(["doctor", "nodo"], { agents: [], refused: { node: words } }).stderr, /nodes "nodo" not found/);
});

test("what kubectl refuses is shown in its own words, without its library's log", () => {
  const log = 'E1121 12:58:53.763328   10020 memcache.go:265] "Unhandled Error" err="refused"\n';
  const away = plugin(["status", "shop"], { refused: { securityprofile: `${log}${log}The connection was refused` } });
  assert.equal(away.status, 1);
  assert.equal(away.stderr, "error: kubectl get securityprofile: The connection was refused [PC_KUBECTL]\n");
  const words = `error: the server doesn't have a resource type "securityprofiles"`;
  assert.match(plugin(["status"], { refused: { securityprofiles: words } }).stderr, /is Portcullis installed/);
});

test("without kubectl there is nothing to ask", () => {
  const main = join(import.meta.dirname, "main.ts");
  const env = { ...process.env, PATH: folder };
  const { status, stderr } = spawnSync(process.execPath, [main, "status"], { encoding: "utf8", env });
  assert.equal(status, 1);
  assert.match(stderr, /there is no kubectl on the PATH \[PC_KUBECTL\]/);
});
