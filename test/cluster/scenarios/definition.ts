/** The CRD on a real API server: what it takes, what it refuses and in which words, and what kubectl shows. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { causeText } from "../../../src/api/errors.ts";
import { REFUSED_PROFILES } from "../../../src/api/testing/refused-profiles.ts";
import type { Cluster } from "../harness/cluster.ts";

const PROJECT = join(import.meta.dirname, "../../..");
const LISTING = join(PROJECT, "src/api/testdata/listing-1.yaml");
const EXAMPLES = ["ping", "pong", "attacker"].map((name) => join(PROJECT, "examples", `${name}.yaml`));

interface Profile {
  metadata: { generation: number };
  spec: Record<string, unknown>;
  status?: Record<string, unknown>;
}

/** Before anything watches the profiles: the definition alone, which goes again at the end. */
export function definition(cluster: Cluster): void {
  describe("the definition of SecurityProfiles", () => {
    before(() => cluster.installCrd());
    after(() => cluster.removeCrd());

    function refusalOf(object: unknown): string | null {
      try {
        cluster.apply(object as object);
        return null;
      } catch (error) {
        return causeText(error);
      }
    }

    test("Listing 1 of the paper applies unchanged", () => {
      assert.match(
        cluster.apply(readFileSync(LISTING, "utf8")),
        /securityprofile\.security\.datadoghq\.com\/ping-profile created/,
      );
      const { spec } = cluster.get<Profile>("securityprofile", "ping-profile");
      assert.deepEqual(spec.actions, ["alert", "enforce"]);
      assert.match(JSON.stringify(spec), /pong\.default\.svc\.cluster\.local/);
      assert.match(cluster.apply(readFileSync(LISTING, "utf8")), /unchanged/);
    });

    test("the examples apply", () => {
      for (const file of EXAMPLES)
        assert.match(cluster.apply(readFileSync(file, "utf8")), /created|configured|unchanged/, file);
    });

    test("short names, and a category of none", () => {
      for (const name of ["sp", "secprof", "securityprofiles"])
        assert.match(cluster.kubectl("get", name), /ping-profile/);
    });

    for (const { what, object, field, remedy } of REFUSED_PROFILES.filter(({ atApply }) => atApply)) {
      test(`refused at apply: ${what}`, () => {
        const refusal = refusalOf(object);
        assert.notEqual(refusal, null, "was taken");
        const last = field
          .split(/[.[\]"]+/)
          .findLast((part) => part !== "" && (field.endsWith('"]') || !/^\d+$/.test(part)));
        assert.ok(refusal?.includes(last ?? field) || remedy.test(refusal ?? ""), `should name ${field}: ${refusal}`);
      });
    }

    test("a profile without a status shows in columns", () => {
      const [head = ""] = cluster.kubectl("get", "sp").split("\n");
      assert.deepEqual(head.trim().split(/\s+/), [
        "NAME",
        "MODE",
        "ACCEPTED",
        "ENFORCED",
        "PODS",
        "NODES",
        "DROPPED",
        "ALERTED",
        "AGE",
      ]);
    });

    test("the status is a resource of its own, and fills the columns", () => {
      const now = new Date().toISOString();
      const condition = (type: string, status: string, reason: string) => ({
        type,
        status,
        reason,
        message: `${type} as the test has it`,
        observedGeneration: 1,
        lastTransitionTime: now,
      });
      const status = {
        observedGeneration: 1,
        mode: "Enforce+Alert",
        conditions: [condition("Accepted", "True", "Valid"), condition("Enforced", "False", "NodesFailing")],
        pods: { selected: 3, enforced: 2, unprotected: 1, text: "2/3" },
        nodes: { total: 2, ready: 1, text: "1/2" },
        dropped: 7,
        alerted: 8,
        lastViolation: {
          time: now,
          pod: "ping-1",
          process: "/bin/sh",
          reason: "BinaryUnknown",
          remote: "10.0.0.1:80/tcp",
        },
        failingNodes: [{ name: "node2", reason: "Capacity", message: "the map of rules is full", pods: 1 }],
      };
      cluster.kubectl(
        "patch",
        "sp",
        "ping-profile",
        "--subresource=status",
        "--type=merge",
        "-p",
        JSON.stringify({ status }),
      );
      const [, row = ""] = cluster.kubectl("get", "sp", "ping-profile").split("\n");
      assert.deepEqual(row.trim().split(/\s+/).slice(0, 8), [
        "ping-profile",
        "Enforce+Alert",
        "True",
        "False",
        "2/3",
        "1/2",
        "7",
        "8",
      ]);
      const wide = cluster.kubectl("get", "sp", "ping-profile", "-o", "wide");
      assert.match(wide, /REASON.*LAST VIOLATION\n.*NodesFailing/);
      const described = cluster.kubectl("describe", "sp", "ping-profile");
      for (const text of ["the map of rules is full", "BinaryUnknown", "Accepted as the test has it"])
        assert.match(described, new RegExp(text));
    });

    test("a status cannot be set with the rest, and does not change the generation", () => {
      const before = cluster.get<Profile>("sp", "ping-profile");
      cluster.kubectl(
        "patch",
        "sp",
        "ping-profile",
        "--type=merge",
        "-p",
        JSON.stringify({ status: { mode: "forged" } }),
      );
      const after = cluster.get<Profile>("sp", "ping-profile");
      assert.equal(after.status?.mode, "Enforce+Alert");
      assert.equal(after.metadata.generation, before.metadata.generation);
    });
  });
}
