/** For tests and benchmarks: what one who may write SecurityProfiles in one namespace can do to an operator, on a made-up cluster. */
import { setTimeout as wait } from "node:timers/promises";
import { SECURITY_PROFILES } from "../cluster/kinds.ts";
import type { TestCluster } from "./cluster.ts";
import { profileObject } from "./stored-profile.ts";

/** Goes on until the signal. */
export type Load = (cluster: TestCluster, signal: AbortSignal) => Promise<void>;

/** Puts a profile of the namespace `tenant` in. */
function put(cluster: TestCluster, name: string, spec: object, generation = 1): void {
  cluster.server.put(SECURITY_PROFILES, profileObject(spec, { name, namespace: "tenant", uid: name, generation }));
}

function prefixes(count: number, first = 10): string[] {
  return Array.from({ length: count }, (_, i) => `${first + (i >> 14)}.${(i >> 6) & 255}.${(i & 63) * 4}.0/24`);
}

/** A hundred processes with so many prefixes in all. */
function processes(all: readonly string[]): object[] {
  const each = Math.floor(all.length / 100);
  return Array.from({ length: 100 }, (_, index) => ({
    path: `/bin/${index}`,
    network: { egress: { cidr4: all.slice(index * each, (index + 1) * each), l4: { protocols: ["tcp"] } } },
  }));
}

export const LARGE_PROFILES = 90;
const LARGE_BYTES = 1_280_000;
/** Of a prefix in JSON, about. */
const PREFIX_BYTES = 17;

/** Ninety profiles of 1.28 MB that select nothing, all of them, whatever the signal says. */
export const largeProfiles: Load = async (cluster) => {
  const cidr4 = prefixes(Math.floor(LARGE_BYTES / 100 / PREFIX_BYTES));
  const of = (path: string) => ({ path, network: { egress: { cidr4, l4: { protocols: ["tcp"] } } } });
  const spec = {
    labelSelector: { matchLabels: { nobody: "has-this" } },
    processes: Array.from({ length: 100 }, (_, index) => of(`/bin/${index}`)),
  };
  for (let index = 0; index < LARGE_PROFILES; index += 1) {
    put(cluster, `large-${index}`, spec);
    await wait(60);
  }
};

/** Two profiles of 40,000 prefixes on a pod of node `n2`, edited every second. */
export const editedPrefixes: Load = async (cluster, signal) => {
  cluster.pod("victim", { namespace: "tenant", labels: { app: "web" }, node: "n2" });
  const specs = [10, 60].map((first) => ({ processes: processes(prefixes(40_000, first)) }));
  for (let generation = 1; !signal.aborted; generation += 1) {
    for (const name of ["one", "two"]) put(cluster, name, specs[generation % 2] as object, generation);
    await wait(1_000);
  }
};

/** Containers that the rules of one executable are told apart by; each gets what holds in any of them, too. */
const CONTAINERS = 127;
const QUESTIONS = 10_000;

/**
 * On a pod of node `n2`, edited every second: a profile that would be compiled to fifty times as many rules as the namespace may have,
 * and one with as many names to connect to as names to ask for, in each of three executables.
 */
export const multipliedRules: Load = async (cluster, signal) => {
  cluster.pod("victim", { namespace: "tenant", labels: { app: "web" }, node: "n2" });
  const entry = (path: string, egress: object) => ({
    path,
    network: { egress: { ...egress, l4: { protocols: ["tcp"] } } },
  });
  const everywhere = entry("/bin/web", { cidr4: prefixes(50_000) });
  const somewhere = Array.from({ length: CONTAINERS }, (_, index) => ({
    ...entry("/bin/web", { cidr4: [`192.0.2.${index}/32`] }),
    container: `c${index}`,
  }));
  const names = (letter: string) => Array.from({ length: QUESTIONS }, (_, index) => `${letter}${index}.example`);
  const asking = ["/bin/1", "/bin/2", "/bin/3"].map((path) =>
    entry(path, { fqdns: names("a"), l7: { dns: names("b") }, peers: ["resolver"] }),
  );
  for (let generation = 1; !signal.aborted; generation += 1) {
    put(cluster, "multiplied", { processes: [everywhere, ...somewhere] }, generation);
    put(cluster, "names", { processes: asking }, generation);
    await wait(1_000);
  }
};

export const OWN_TABLES = 30;

/** Thirty pods of node `n2`, each with a table of its own of 50,000 prefixes: 2.9 MB each, which no other can share. */
export const ownTables: Load = async (cluster) => {
  const web = (cidr4: string[]) => ({ processes: [{ path: "/bin/web", network: { egress: { cidr4 } } }] });
  put(cluster, "base", { ...web(prefixes(50_000)), labelSelector: { matchLabels: { app: "web" } } });
  for (let index = 0; index < OWN_TABLES; index += 1) {
    const own = { own: `x${index}` };
    put(cluster, `own-${index}`, { ...web([`192.0.2.${index}/32`]), labelSelector: { matchLabels: own } });
    cluster.pod(`own-${index}`, { namespace: "tenant", labels: { app: "web", ...own }, node: "n2" });
  }
};

const SELECTING_PROFILES = 300;
const SELECTORS = 64;
const SELECTED_PODS = 20;

/** Three hundred profiles with 64 selectors each on the same 20 pods of node `n2`, whose labels change fifty times a second. */
export const manySelectors: Load = async (cluster, signal) => {
  const label = (pod: number, turn: number) =>
    cluster.pod(`p${pod}`, {
      namespace: "tenant",
      labels: { app: "web", turn: String(turn % SELECTORS) },
      ip: `10.200.0.${pod + 1}`,
      node: "n2",
    });
  for (let pod = 0; pod < SELECTED_PODS; pod += 1) label(pod, 0);
  for (let index = 0; index < SELECTING_PROFILES && !signal.aborted; index += 1) {
    const selectors = Array.from({ length: SELECTORS }, (_, turn) => ({
      podSelector: { matchExpressions: [{ key: "turn", operator: "NotIn", values: [String(turn), `x${index}`] }] },
    }));
    const [egress, ingress] = [selectors.slice(0, SELECTORS / 2), selectors.slice(SELECTORS / 2)];
    const network = { egress: { pods: egress }, ingress: { pods: ingress } };
    put(cluster, `p${index}`, { processes: [{ path: `/bin/p${index}`, network }] });
    if (index % 10 === 0) await wait(10);
  }
  for (let turn = 0; !signal.aborted; turn += 1) {
    label(turn % SELECTED_PODS, turn);
    await wait(20);
  }
};
