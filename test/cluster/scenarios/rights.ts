/** Who may do what at the API server and at the operator: by its own word, and by trying. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { causeText } from "../../../src/api/errors.ts";
import type { Cluster } from "../harness/cluster.ts";
import { eventually, FOLDER } from "../harness/place.ts";
import { connectAgent } from "../harness/product/agent-connection.ts";
import { leader, productPods, SYSTEM, shell } from "../harness/product/product.ts";
import { profile } from "../harness/workloads/objects.ts";

const account = (name: string) => `system:serviceaccount:${SYSTEM}:portcullis-${name}`;
const PROFILES = "securityprofiles.security.datadoghq.com";
/** What every account may: find out who it is and what there is. */
const EVERYBODY = /^(selfsubject|\[)/;
const OPERATOR_RIGHTS = [
  `customresourcedefinitions.apiextensions.k8s.io/${PROFILES} [get]`,
  "endpointslices.discovery.k8s.io [list watch]",
  "events.events.k8s.io [create patch]",
  "leases.coordination.k8s.io [create]",
  "leases.coordination.k8s.io/portcullis-operator [get update]",
  "namespaces [list watch]",
  "pods [list watch]",
  `${PROFILES} [get list watch]`,
  "securityprofiles.security.datadoghq.com/status [patch]",
  "services [list watch]",
  "subjectaccessreviews.authorization.k8s.io [create]",
  "tokenreviews.authentication.k8s.io [create]",
];

export function rights(cluster: Cluster): void {
  describe("rights", () => {
    const tokenOf = (name: string, ...more: string[]) =>
      cluster.kubectl("-n", SYSTEM, "create", "token", `portcullis-${name}`, "--duration=10m", ...more).trim();
    const canI = (name: string, ...question: string[]) =>
      cluster.controlPlane.kubectlStatus(["auth", "can-i", ...question, `--as=${account(name)}`]) === 0;
    /** What the API server says to a request with a token. */
    const tried = (token: string, ...args: string[]) => {
      const anonymous = cluster.controlPlane.anonymousKubeconfig();
      try {
        return cluster.controlPlane.kubectl([`--kubeconfig=${anonymous}`, `--token=${token}`, ...args]);
      } catch (cause) {
        return causeText(cause);
      }
    };

    test("the operator may do what is listed, and nothing else", () => {
      const list = cluster.kubectl("auth", "can-i", "--list", "-n", SYSTEM, `--as=${account("operator")}`);
      const rows = list
        .split("\n")
        .slice(1)
        .filter((line) => line.trim() !== "" && !EVERYBODY.test(line.trim()));
      const rights = rows.map((row) => {
        const [, resource = "", names = "", verbs = ""] =
          /^(\S+)\s+\[\]\s+\[(.*?)\]\s+\[(.*)\]$/.exec(row.trim()) ?? [];
        return `${resource}${names === "" ? "" : `/${names}`} [${verbs}]`;
      });
      assert.deepEqual(rights.sort(), OPERATOR_RIGHTS.toSorted(), list);
    });

    test("the operator: asked one by one, and tried", () => {
      assert.equal(canI("operator", "list", PROFILES, "--all-namespaces"), true);
      for (const question of [
        ["update", PROFILES],
        ["patch", PROFILES],
        ["delete", PROFILES],
        ["get", "secrets"],
        ["list", "secrets", "-n", SYSTEM],
        ["create", "pods"],
        ["create", "pods/exec"],
        ["patch", "nodes"],
        ["create", "serviceaccounts/token"],
        ["get", "lease/another", "-n", SYSTEM],
        ["escalate", "clusterroles"],
      ]) {
        assert.equal(canI("operator", ...question), false, question.join(" "));
      }
      const token = tokenOf("operator");
      assert.match(tried(token, "get", "pods", "-A", "-o", "name"), /pod\//);
      assert.match(tried(token, "-n", SYSTEM, "get", "secrets"), /Forbidden/);
      assert.match(tried(token, "delete", "securityprofile", "any", "-n", "default"), /Forbidden/);
    });

    describe("the watchdog's token", () => {
      let token: string;
      /** What the API server says to a patch of the status; kubectl would read it first, which takes another right. */
      const patched = (status: object) => {
        const path = `/apis/security.datadoghq.com/v1/namespaces/default/securityprofiles/watched/status`;
        const headers = [`authorization: Bearer ${token}`, "content-type: application/merge-patch+json"];
        const options = ["-sk", "-X", "PATCH", ...headers.flatMap((header) => ["-H", header])];
        return shell(cluster, [
          "curl",
          ...options,
          "-d",
          JSON.stringify({ status }),
          cluster.controlPlane.server + path,
        ]);
      };
      const condition = (type: string, status: string, reason: string) => {
        const lastTransitionTime = "2026-01-01T00:00:00Z";
        return { type, status, reason, message: "by the watchdog", lastTransitionTime };
      };
      /** As the operator has written it, with some conditions in place of its own. */
      const conditions = (...others: { type: string }[]) => {
        const { status } = cluster.get<{ status: { conditions: { type: string }[] } }>(
          PROFILES,
          "watched",
          "-n",
          "default",
        );
        const kept = status.conditions.filter(({ type }) => !others.some((other) => other.type === type));
        return { conditions: [...kept, ...others] };
      };

      before(async () => {
        token = tokenOf("watchdog");
        cluster.apply(profile("watched", []), "-n", "default");
        const isWritten = () =>
          cluster
            .said("-n", "default", "get", "sp", "watched", "-o", "jsonpath={.status.conditions}")
            .includes("Enforced");
        await eventually("a status", isWritten, { timeout: 20_000 });
      });
      after(() => cluster.kubectl("-n", "default", "delete", "securityprofile", "watched"));

      test("may say of a profile that nobody knows whether it is in force", () => {
        const unknown = ["Programmed", "Enforced"].map((type) => condition(type, "Unknown", "OperatorAway"));
        assert.match(patched(conditions(...unknown)), /"kind": ?"SecurityProfile"/);
      });

      test("and nothing else: neither that it is, nor that it is not, nor any other word of its status", () => {
        const only = /may set Programmed and Enforced to Unknown/;
        assert.match(patched(conditions(condition("Enforced", "True", "Enforced"))), only);
        assert.match(patched(conditions(condition("Enforced", "False", "OperatorAway"))), only);
        assert.match(patched(conditions(condition("Enforced", "Unknown", "Attacked"))), only);
        assert.match(patched(conditions(condition("Accepted", "Unknown", "OperatorAway"))), only);
        assert.match(patched({ conditions: [condition("Enforced", "Unknown", "OperatorAway")] }), only);
        assert.match(patched({ conditions: null }), only);
        for (const status of [
          { dropped: 7 },
          { mode: "Learn" },
          { processes: [{ path: "/bin/made-up" }] },
          { observedGeneration: 9 },
          { pods: null },
        ]) {
          const [name] = Object.keys(status);
          assert.match(patched(status), new RegExp(`may not change status.${name}`));
        }
        assert.match(
          tried(token, "-n", "default", "patch", PROFILES, "watched", "--type=merge", "-p", '{"spec":{}}'),
          /Forbidden/,
        );
        assert.match(tried(token, "get", "pods", "-A"), /Forbidden/);
        assert.match(tried(token, "-n", SYSTEM, "get", "secrets"), /Forbidden/);
      });
    });

    describe("an agent's token", () => {
      let token: string;
      let address: string;
      const authority = join(FOLDER, "operator-ca.crt");
      const connect = (withToken: string, saidNode: string) =>
        connectAgent(cluster, { address, token: withToken, saidNode, authority, system: SYSTEM });

      before(() => {
        const agents = productPods(cluster, "agent");
        const agent = agents.find(({ spec }) => spec.nodeName === cluster.nodes[1]?.place.name);
        assert.ok(agent);
        const bound = ["--bound-object-kind=Pod", `--bound-object-name=${agent.metadata.name}`];
        token = tokenOf("agent", "--audience=portcullis-operator", ...bound);
        const path = "jsonpath={.data.ca\\.crt}";
        writeFileSync(authority, cluster.kubectl("-n", SYSTEM, "get", "configmap", "portcullis-ca", "-o", path));
        const { pod } = leader(cluster);
        const operator = productPods(cluster, "operator").find(({ metadata }) => metadata.name === pod);
        assert.ok(operator, `${pod} leads`);
        address = `${operator.status.podIP}:8443`;
      });

      test("is nobody to the API server, for which it is not made", () => {
        assert.match(tried(token, "get", "pods", "-A"), /Unauthorized|provide credentials/);
      });

      test("and with one that is, the agent's account may read nothing", () => {
        const own = tokenOf("agent");
        for (const kind of ["pods", "nodes", "secrets", PROFILES]) {
          assert.match(tried(own, "get", kind, "-A"), /Forbidden/, kind);
        }
      });

      test("does not let it in as another node", () => {
        const other = cluster.nodes[0]?.place.name ?? "";
        const { code, details } = connect(token, other);
        assert.equal(code, "PERMISSION_DENIED", details);
        assert.match(details, new RegExp(other));
      });

      test("which is not bound to a pod, is another account's, or for another audience, does not let it in at all", () => {
        const node = cluster.nodes[1]?.place.name ?? "";
        const unbound = connect(tokenOf("agent", "--audience=portcullis-operator"), node);
        assert.equal(unbound.code, "PERMISSION_DENIED", unbound.details);
        const foreign = connect(tokenOf("operator", "--audience=portcullis-operator"), node);
        assert.equal(foreign.code, "PERMISSION_DENIED", foreign.details);
        const wrong = connect(tokenOf("agent"), node);
        assert.equal(wrong.code, "UNAUTHENTICATED", wrong.details);
        const none = connect("", node);
        assert.equal(none.code, "UNAUTHENTICATED", none.details);
      });
    });
  });
}
