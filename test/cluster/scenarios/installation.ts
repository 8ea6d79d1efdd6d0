/** The lines of README.md, as they are there, make a cluster that enforces. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Cluster } from "../harness/cluster.ts";
import { PROJECT, productLogs, productReady, SYSTEM, shell } from "../harness/product/product.ts";

const LINES = 4;

export function installation(cluster: Cluster): void {
  describe("installation", () => {
    test("four lines of README.md install the chart and put a profile in force", () => {
      const lines = readmeLines();
      assert.equal(lines.length, LINES);
      let said = "";
      for (const line of lines) {
        try {
          said = shell(cluster, ["bash", "-ec", line]);
        } catch (cause) {
          throw new Error(`${line}\n${productLogs(cluster)}`, { cause });
        }
      }
      assert.match(said, /^NAMESPACE\s|^NAME\s/);
      assert.match(said, /ping-profile/);
    });

    test("operator, watchdog and agents are ready, with the chart's own values", () => {
      productReady(cluster);
      const replicas = cluster.kubectl(
        "-n",
        "portcullis-system",
        "get",
        "deploy",
        "-o",
        "jsonpath={.items[*].status.readyReplicas}",
      );
      assert.equal(replicas, "2 1");
    });

    test("of its pods the agents alone need a namespace that admits privileged ones", () => {
      const label = "pod-security.kubernetes.io/enforce=restricted";
      const script = `kubectl label --dry-run=server --overwrite namespace ${SYSTEM} ${label} 2>&1`;
      const warnings = shell(cluster, ["sh", "-ec", script]);
      assert.match(warnings, /portcullis-agent/);
      assert.doesNotMatch(warnings, /portcullis-(operator|watchdog)/);
    });
  });
}

/** The block of README.md that begins with `helm install`. */
function readmeLines(): string[] {
  const text = readFileSync(join(PROJECT, "README.md"), "utf8");
  const block = [...text.matchAll(/```sh[^\n]*\n([\s\S]*?)```/g)]
    .map(([, lines = ""]) => lines)
    .find((lines) => /^helm install/.test(lines));
  return (block ?? "").trim().split("\n");
}
