/** examples/ping, applied as README says, with its workloads: they work, and what is not listed does not. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { causeText } from "../../../src/api/errors.ts";
import type { Cluster } from "../harness/cluster.ts";
import { eventually } from "../harness/place.ts";
import { PROJECT, shell } from "../harness/product/product.ts";

const NAMESPACE = "ping-pong";
const POLICY = "examples/admission/profiles-that-enforce.yaml";

export function examples(cluster: Cluster): void {
  const inPing = (...command: string[]) => {
    const args = ["exec", "-n", NAMESPACE, "deploy/ping", "--", ...command];
    return cluster.controlPlane.kubectlStatus(args);
  };

  describe("examples", () => {
    after(() => cluster.said("delete", "namespace", NAMESPACE, "--wait=false"));

    test("kubectl apply -k examples/ping: ping gets its page from pong, under enforced profiles", async () => {
      shell(cluster, ["kubectl", "apply", "-k", "examples/ping"]);
      for (const name of ["ping", "pong"]) {
        cluster.kubectl("-n", NAMESPACE, "rollout", "status", `deploy/${name}`, "--timeout=120s");
        const args = ["-n", NAMESPACE, "wait", `securityprofile/${name}`, "--for=condition=Enforced", "--timeout=60s"];
        cluster.kubectl(...args);
      }
      const logs = () => cluster.kubectl("-n", NAMESPACE, "logs", "deploy/ping", "--tail=1");
      await eventually("ping to get its page", () => logs() === "pong\n", { timeout: 30_000, describe: logs });
    });

    test("in the same pod, curl reaches nobody else, and another program not even pong", async () => {
      const pong = "http://pong.ping-pong.svc.cluster.local/";
      assert.equal(inPing("/usr/bin/curl", "--silent", "--max-time", "3", pong), 0);
      assert.notEqual(inPing("/usr/bin/curl", "--silent", "--max-time", "3", "https://10.96.0.1/", "--insecure"), 0);
      // Another curl, that the profile does not list.
      const other = () => inPing("/usr/local/bin/my-app", "--silent", "--max-time", "3", pong);
      assert.notEqual(other(), 0);
      cluster.kubectl("-n", NAMESPACE, "delete", "securityprofile", "ping");
      await eventually("it to reach pong without ping's profile", () => other() === 0, { timeout: 30_000 });
    });

    test("the admission policy of the examples refuses a profile that does not enforce, or lists a shell", async () => {
      const profile = (spec: object) => ({
        apiVersion: "security.datadoghq.com/v1",
        kind: "SecurityProfile",
        metadata: { name: "reviewed", namespace: NAMESPACE, labels: { app: "reviewed" } },
        spec,
      });
      const refusal = (spec: object) => {
        try {
          cluster.apply(profile(spec), "--dry-run=server");
          return "";
        } catch (cause) {
          return causeText(cause);
        }
      };
      try {
        cluster.kubectl("label", "namespace", NAMESPACE, "profiles=reviewed");
        assert.equal(refusal({ actions: ["alert"] }), "", "without the policy it is taken");
        cluster.kubectl("apply", "-f", join(PROJECT, POLICY));
        const waits = () => /has to enforce/.test(refusal({ actions: ["alert"] }));
        await eventually("the policy to be in force", waits, { timeout: 30_000 });
        assert.match(refusal({ actions: ["enforce"], processes: [{ path: "/usr/bin/bash" }] }), /may not list a shell/);
        const changed = [{ path: "/usr/bin/curl", binary: "Any" }];
        assert.match(refusal({ actions: ["enforce"], processes: changed }), /may not have binary: Any/);
        assert.equal(refusal({ actions: ["enforce"], processes: [{ path: "/usr/bin/curl" }] }), "");
        const typed = () => cluster.kubectl("get", "validatingadmissionpolicy", "profiles-that-enforce", "-o", "json");
        await eventually("its expressions to be checked", () => typed().includes('"typeChecking"'), {
          timeout: 30_000,
        });
        assert.doesNotMatch(typed(), /"expressionWarnings"/, "its expressions fit the definition");
      } finally {
        cluster.said("delete", "-f", join(PROJECT, POLICY));
      }
    });
  });
}
