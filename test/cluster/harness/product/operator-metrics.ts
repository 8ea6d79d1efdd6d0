/** The metrics of the operator that leads, read as Prometheus would: with a token that has the right. */
import assert from "node:assert/strict";
import type { Cluster } from "../cluster.ts";
import { leader, productPods, SYSTEM, shell } from "./product.ts";

/** Since it was read last, in seconds: 99 of 100 turns were no later. */
export const EVENT_LOOP_LAG = "portcullis_nodejs_eventloop_lag_p99_seconds";

const READER = "metrics-reader";
const PORT = 8080;

export class OperatorMetrics {
  readonly #cluster: Cluster;
  readonly #token: string;

  private constructor(cluster: Cluster, token: string) {
    this.#cluster = cluster;
    this.#token = token;
  }

  /** Makes an account that may read them; `end` removes it. */
  static make(cluster: Cluster): OperatorMetrics {
    cluster.kubectl("-n", SYSTEM, "create", "serviceaccount", READER);
    const subject = `--serviceaccount=${SYSTEM}:${READER}`;
    cluster.kubectl("create", "clusterrolebinding", READER, "--clusterrole=portcullis-metrics-reader", subject);
    const token = cluster.kubectl("-n", SYSTEM, "create", "token", READER).trim();
    return new OperatorMetrics(cluster, token);
  }

  end(): void {
    this.#cluster.kubectl("delete", "clusterrolebinding", READER);
    this.#cluster.kubectl("-n", SYSTEM, "delete", "serviceaccount", READER);
  }

  /** One value, by the metric's name with its labels; NaN where there is none. */
  values(...metrics: string[]): number[] {
    const { pod } = leader(this.#cluster);
    const leading = productPods(this.#cluster, "operator").find(({ metadata }) => metadata.name === pod);
    assert.ok(leading, `${pod} leads`);
    const url = `https://${leading.status.podIP}:${PORT}/metrics`;
    const authorization = `authorization: Bearer ${this.#token}`;
    const text = shell(this.#cluster, ["curl", "-sk", "--max-time", "10", "-H", authorization, url]);
    const lines = text.split("\n");
    return metrics.map((metric) => {
      const line = lines.find((candidate) => candidate.startsWith(`${metric} `));
      return Number(line?.slice(metric.length + 1) ?? Number.NaN);
    });
  }
}
