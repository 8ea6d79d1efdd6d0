/** What is known of pods, what it comes to, and what is sent to it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { PodPhase, PolicyKind } from "../../gen/agent_pb.js";
import { HeldState } from "../../protocol/held-state.ts";
import type { DesiredPolicy, WorkloadOutcome } from "../enforce/desired.ts";
import { KEPT_STATE_FILE } from "../enforce/state/state.ts";
import { testTable, testWorkload } from "../enforce/testing/workloads.ts";
import type { StartupFailurePolicy } from "../guard/startup-wait.ts";
import { KeptState } from "./kept-state.ts";
import { PodBindings } from "./pod-bindings.ts";
import { PodPolicies } from "./pod-policies.ts";
import { absentPodState, type PodOutcome, podStateOf } from "./reports/pod-states.ts";
import { heldState, testBinding } from "./testing/bindings.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-pb-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const table = testTable("/bin/app");
const UID = "11111111-2222-3333-4444-555555555555";

function podLogs(...names: string[]): string {
  const logs = mkdtempSync(join(folder, "logs-"));
  for (const name of names) mkdirSync(join(logs, name));
  return logs;
}

test("a pod that the operator has not described has the name that the kubelet gives it", () => {
  const bindings = new PodBindings(heldState([], []), podLogs(`shop_web-0_${UID}`, "not a pod"));
  assert.deepEqual(bindings.find(UID), {
    uid: UID,
    namespace: "shop",
    name: "web-0",
    labels: {},
    containers: [],
    hostNetwork: false,
  });
  assert.equal(bindings.find("other"), null);
  assert.equal(bindings.bindingOf(UID), null);
});

test("the last thing known of such a pod is that of its name, else of its template", () => {
  const held = heldState(
    [table],
    [
      testBinding("a", table, { namespace: "shop", name: "web-6b8f7c9d5f-x2k4p" }),
      testBinding("b", null, { namespace: "shop", name: "db-0" }),
      testBinding("c", table, { namespace: "shop", name: "solo" }),
    ],
  );
  const logs = podLogs(
    "shop_web-6b8f7c9d5f-zzzzz_u1",
    "shop_web-54c8d7bbdd-zzzzz_u2",
    "other_web-6b8f7c9d5f-zzzzz_u3",
    "shop_db-1_u4",
    "shop_solo_u5",
    "shop_sol_u6",
  );
  const bindings = new PodBindings(held, logs);
  const last = ["u1", "u2", "u3", "u4", "u5", "u6"].map((uid) => bindings.lastKnown(uid)?.podUid ?? null);
  assert.deepEqual(last, ["a", null, null, "b", "c", null]);
});

test("a pod that the kubelet has from a file is the one which stands for it at the API server", () => {
  const hash = "0123456789abcdef0123456789abcdef";
  const held = heldState([table], [testBinding(UID, table, { namespace: "kube-system", name: "proxy-node" })]);
  const bindings = new PodBindings(held, podLogs(`kube-system_proxy-node_${hash}`));
  assert.equal(bindings.bindingOf(hash)?.podUid, UID);
  assert.deepEqual([bindings.find(hash)?.name, bindings.find(hash)?.apiUid], ["proxy-node", UID]);
});

function policies(
  bindings: PodBindings,
  unknown: (after: () => DesiredPolicy | null, policy?: string) => DesiredPolicy,
  startupFailurePolicy: StartupFailurePolicy = "Allow",
) {
  return new PodPolicies({
    bindings,
    startupFailurePolicy,
    exemptNamespaces: new Set(["kube-system"]),
    blockNamespaces: new Set(["vault"]),
    fit: (table) => ({ table, files: {} }),
    unknown: (_, { after: last, policy }) => unknown(last, policy),
  });
}

test("bindings come to policies", () => {
  const held = heldState(
    [table],
    [testBinding("a", table), testBinding("b", null), testBinding("c", null, { policy: PolicyKind.KEEP })],
  );
  const chosen = policies(new PodBindings(held, folder), () => ({ kind: "unchanged" }));
  const kinds = ["a", "b", "c", "d"].map((podUid, n) => chosen.policyOf(testWorkload(n, { podUid })).kind);
  assert.deepEqual(kinds, ["table", "unrestricted", "unchanged", "unchanged"]);
});

test("exempt namespaces do not wait; those that ask for it are blocked", () => {
  const asked: unknown[] = [];
  const chosen = policies(new PodBindings(heldState([], []), folder), (_, policy) => {
    asked.push(policy);
    return { kind: "pending" };
  });
  const kindIn = (namespace: string) => chosen.policyOf(testWorkload(1, { podUid: "x", namespace })).kind;
  assert.deepEqual([kindIn("kube-system"), kindIn("vault"), kindIn("shop")], ["unrestricted", "pending", "pending"]);
  assert.deepEqual(asked, ["Block", "Allow"]);
});

test("by Auto a pod that nothing is known of is shut where profiles enforce, open elsewhere, and shut where that cannot be read", () => {
  const enforcing = { ...table, hash: "e", actions: ["enforce" as const] };
  const asked = (held: HeldState) => {
    const policy: unknown[] = [];
    const chosen = policies(
      new PodBindings(held, folder),
      (_, given) => {
        policy.push(given);
        return { kind: "pending" };
      },
      "Auto",
    );
    for (const namespace of ["shop", "plain", ""]) chosen.policyOf(testWorkload(1, { podUid: "x", namespace }));
    return policy;
  };
  const none = new Map();
  assert.deepEqual(asked(new HeldState(none, none, ["shop"])), ["Block", "Allow", "Block"]);
  assert.deepEqual(asked(new HeldState(none, none, [])), ["Allow", "Allow", "Allow"]);
  // An operator that does not tell: what the node's own pods have.
  const bindings = new Map([["a", testBinding("a", enforcing, { namespace: "shop" })]]);
  assert.deepEqual(asked(new HeldState(bindings, new Map([["e", enforcing]]))), ["Block", "Allow", "Block"]);
  assert.deepEqual(asked(heldState([], [])), ["Allow", "Allow", "Allow"]);
});

test("where profiles enforce is kept on disk, and written again only when it has changed", () => {
  const kept = join(folder, "enforcing");
  new KeptState(kept).save(new HeldState(new Map(), new Map(), ["shop"]));
  const loaded = new KeptState(kept);
  assert.deepEqual(loaded.load()?.enforcing, ["shop"]);
  loaded.save(new HeldState(new Map(), new Map(), ["shop", "web"]));
  assert.deepEqual(new KeptState(kept).load()?.enforcing, ["shop", "web"]);
});

test("a pod whose files are being looked at keeps what is in force", () => {
  const held = heldState([table], [testBinding("a", table)]);
  const options = {
    exemptNamespaces: new Set<string>(),
    blockNamespaces: new Set<string>(),
    startupFailurePolicy: "Allow" as const,
  };
  const unknown = (): DesiredPolicy => ({ kind: "pending" });
  const chosen = new PodPolicies({ bindings: new PodBindings(held, folder), ...options, fit: () => null, unknown });
  assert.equal(chosen.policyOf(testWorkload(1, { podUid: "a" })).kind, "unchanged");
});

test("a table that was fitted goes by the operator's name for it", () => {
  const fitted = { ...table, hash: "fitted" };
  const chosen = new PodPolicies({
    bindings: new PodBindings(heldState([table], [testBinding("a", table)]), folder),
    exemptNamespaces: new Set(),
    blockNamespaces: new Set(),
    startupFailurePolicy: "Allow",
    fit: () => ({ table: fitted, files: { "main@1:/bin/app": "/bin/real" } }),
    unknown: () => ({ kind: "pending" }),
  });
  const policy = chosen.policyOf(testWorkload(1, { podUid: "a" }));
  assert.deepEqual(policy, { kind: "table", table: fitted, files: { "main@1:/bin/app": "/bin/real" } });
  assert.equal(chosen.operatorHash("fitted"), table.hash);
});

const outcome: WorkloadOutcome = {
  id: 1,
  name: "a",
  namespace: "default",
  labels: {},
  state: "enforced",
  interfaces: ["veth1"],
  profiles: [],
  tableHash: "h",
  replaced: null,
  table: null,
  error: null,
  problems: [],
  refused: false,
  changed: false,
};

test("what became of a pod is reported with the reason", () => {
  const pod = (changes: Partial<WorkloadOutcome>, more: Partial<PodOutcome> = {}) =>
    podStateOf({
      workload: testWorkload(1, { podUid: "a", searchDomains: ["svc.cluster.local"] }),
      outcome: { ...outcome, ...changes },
      binding: testBinding("a", table),
      refusal: null,
      letThrough: 0,
      tableHash: table.hash,
      files: { "main:/bin/app": "/bin/real", "main:/bin/real": "/bin/real" },
      ...more,
    });
  const enforced = pod({});
  assert.deepEqual([enforced.phase, enforced.tableHash, enforced.code], [PodPhase.ENFORCED, table.hash, ""]);
  assert.deepEqual([enforced.searchDomains, enforced.searchDomainsKnown], [["svc.cluster.local"], true]);
  const starting = pod({}, { workload: testWorkload(1, { podUid: "a", searchDomains: null }) });
  assert.deepEqual([starting.searchDomains, starting.searchDomainsKnown], [[], false]);
  assert.deepEqual(
    enforced.sharedFiles.map(({ path, names }) => [path, names]),
    [["/bin/app", ["/bin/real"]]],
  );
  const phaseAndCode = (state: ReturnType<typeof pod>) => [state.phase, state.code];
  assert.deepEqual(phaseAndCode(pod({ state: "pending" })), [PodPhase.PENDING, "PC_POLICY_UNKNOWN"]);
  assert.deepEqual(phaseAndCode(pod({ state: "unrestricted" })), [PodPhase.FAILED, "PC_POLICY_UNKNOWN"]);
  assert.deepEqual(phaseAndCode(pod({ state: "unrestricted" }, { binding: testBinding("a", null) })), [
    PodPhase.UNRESTRICTED,
    "",
  ]);
  const refusal = { code: "PC_KERNEL", message: "full" };
  assert.deepEqual(phaseAndCode(pod({}, { refusal })), [PodPhase.FAILED, "PC_KERNEL"]);
});

test("a pod on the node's network is unprotected, one that is not there yet pending", () => {
  const host = absentPodState(testBinding("a", null, { policy: PolicyKind.HOST_NETWORK }), undefined);
  assert.deepEqual([host.phase, host.code], [PodPhase.UNPROTECTED, "PC_POD_HOST_NETWORK"]);
  assert.match(host.message, /network namespace/);
  const starting = absentPodState(testBinding("a", table), undefined);
  assert.deepEqual([starting.phase, starting.code], [PodPhase.PENDING, "PC_POD_STARTING"]);
});

test("the last good state is kept on disk, whole; a damaged one is reported and left aside", () => {
  const state = heldState([table], [testBinding("a", table), testBinding("b", null)]);
  const where = join(folder, "kept");
  assert.equal(new KeptState(where).load(), null);
  new KeptState(where).save(state);
  const loaded = new KeptState(where).load();
  assert.equal(loaded?.hash, state.hash);
  assert.deepEqual(loaded?.tables.get(table.hash), table);
  assert.deepEqual(readdirSync(where), [KEPT_STATE_FILE]);
  writeFileSync(join(where, KEPT_STATE_FILE), "rubbish");
  assert.throws(() => new KeptState(where).load(), { code: "PC_KEPT_STATE" });
});
