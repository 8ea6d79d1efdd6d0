/** What the operator is put under: the tenants' loads, and those of pods without rights. */
import { setTimeout as wait } from "node:timers/promises";
import type { TestCluster } from "../../src/operator/testing/cluster.ts";
import { type Flood, startFlood } from "../../src/operator/testing/flood.ts";
import type { OperatorProcess } from "../../src/operator/testing/operator-process.ts";
import { editedPrefixes, type Load, largeProfiles, manySelectors } from "../../src/operator/testing/tenant-loads.ts";

export interface PlaneLoad {
  name: string;
  what: string;
  /** Goes on until the signal. */
  run: (cluster: TestCluster, operator: OperatorProcess, signal: AbortSignal) => Promise<void>;
}

const ofTenant =
  (load: Load): PlaneLoad["run"] =>
  (cluster, _, signal) =>
    load(cluster, signal);
const unauthenticated =
  (flood: Flood, port: "agents" | "metrics"): PlaneLoad["run"] =>
  async (_, operator, signal) => {
    const { end } = startFlood(flood, operator.ports[port]);
    while (!signal.aborted) await wait(100);
    await end();
  };

export const LOADS: readonly PlaneLoad[] = [
  {
    name: "large",
    what: "a tenant's 90 profiles of 1.28 MB",
    run: ofTenant(largeProfiles),
  },
  {
    name: "prefixes",
    what: "a tenant's two profiles of 40,000 prefixes, edited every second",
    run: ofTenant(editedPrefixes),
  },
  {
    name: "selectors",
    what: "a tenant's 300 profiles with 64 selectors each, labels of their pods change 50 times a second",
    run: ofTenant(manySelectors),
  },
  {
    name: "streams",
    what: "100 connections to the agents' port, each with 100 streams without a valid token, again and again",
    run: unauthenticated("streams", "agents"),
  },
  {
    name: "metrics",
    what: "400 connections that ask for metrics, again and again",
    run: unauthenticated("metrics", "metrics"),
  },
];
