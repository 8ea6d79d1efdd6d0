import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { profileWith, profileWithEgress, profileWithIngress } from "../testing/refused-case.ts";
import { REFUSED_PROFILES } from "../testing/refused-profiles.ts";
import type { SecurityProfile } from "../types.ts";
import { validateProfile } from "./validate.ts";

/** The profile, which must have no errors. */
function accepted(object: unknown): SecurityProfile {
  const { profile, errors } = validateProfile(object);
  assert.deepEqual(errors, []);
  assert.ok(profile);
  return profile;
}

describe("refused", () => {
  for (const { what, object, field, code, remedy } of REFUSED_PROFILES) {
    test(what, () => {
      const { profile, errors } = validateProfile(object);
      assert.equal(profile, null);
      assert.deepEqual(
        errors.map((error) => [error.field, error.code]),
        [[field, code]],
      );
      assert.match(errors[0]?.remedy ?? "", remedy);
    });
  }

  test("what is no object at all", () => {
    for (const object of [null, undefined, 5, "text", [], () => 0]) {
      assert.equal(validateProfile(object).profile, null);
    }
  });

  test("everything that is wrong is reported at once", () => {
    const object = profileWith({ actions: ["learn", "alert"], processes: [{ path: "app" }, { path: "/a", x: 1 }] });
    assert.deepEqual(
      validateProfile(object).errors.map(({ field }) => field),
      ["spec.processes[0].path", "spec.processes[1].x", "spec.actions[0]"],
    );
  });
});

describe("accepted", () => {
  test("the same path in another container, and in all", () => {
    accepted(
      profileWith({ processes: [{ path: "/a" }, { path: "/a", container: "b" }, { path: "/a", container: "c" }] }),
    );
  });

  test("paths with dots, spaces and other letters, up to 255 bytes", () => {
    for (const path of ["/a", "/.a", "/..a", "/...", "/usr/lib/a b", "/bin/ü", `/${"a".repeat(254)}`]) {
      accepted(profileWith({ processes: [{ path }] }));
    }
  });

  test("names: exact, below, all, with underscores, 253 bytes", () => {
    const longest = `${"a.".repeat(126)}a`;
    for (const name of ["a.b", "*.a.b", "*", "_sip._tcp.a", "A.B.", longest, `${longest}.`, "xn--bcher-kva.example"]) {
      accepted(profileWithEgress({ fqdns: [name] }));
    }
  });

  test("prefixes of every length", () => {
    for (const cidr of ["0.0.0.0/0", "10.0.0.0/8", "1.2.3.4/32"]) accepted(profileWithEgress({ cidr4: [cidr] }));
    for (const cidr of ["::/0", "fe80::/10", "64:ff9b::1.2.3.4/128", "::ffff:0:0/95"]) {
      accepted(profileWithEgress({ cidr6: [cidr] }));
    }
  });

  test("protocols by name and number, ports and ranges", () => {
    const l4 = {
      protocols: ["tcp", "any", 0, 255],
      protocolPorts: [
        { protocol: "udp", port: 1, endPort: 65535 },
        { protocol: "sctp", port: 9, endPort: 9 },
      ],
    };
    accepted(profileWithEgress({ l4 }));
    accepted(profileWithIngress({ l4 }));
  });

  test("empty lists where they mean the same as none", () => {
    const profile = accepted(profileWithEgress({ cidr4: [], cidr6: [], fqdns: [], l4: { protocolPorts: [] } }));
    assert.deepEqual(profile.spec.processes?.[0]?.network?.egress, { l4: {} });
  });

  test("every family that is listed", () => {
    const protocols = ["ipv4", "ipv6", "arp"];
    accepted(profileWithEgress({ fqdns: ["a.b"], cidr4: ["10.0.0.0/8"], cidr6: ["::/0"], l3: { protocols } }));
    accepted(profileWithEgress({ fqdns: ["a.b"], l3: { protocols: ["ipv6"] } }));
  });

  test("actions and attacks", () => {
    accepted(profileWith({ actions: ["alert", "enforce", "trace-dns"] }));
    accepted(profileWith({ actions: ["learn", "trace-dns"] }));
    accepted(profileWith({ actions: [], attacks: ["arp-spoofing", "ip-spoofing", "ndp-spoofing", "dns-spoofing"] }));
  });

  test("label selectors", () => {
    const matchExpressions = [
      { key: "a", operator: "In", values: ["b", ""] },
      { key: "example.com/a", operator: "Exists" },
      { key: "a", operator: "DoesNotExist", values: [] },
    ];
    accepted(profileWith({ labelSelector: { matchLabels: { "app.kubernetes.io/name": "x" }, matchExpressions } }));
  });

  test("what the API server adds", () => {
    const metadata = { uid: "1", resourceVersion: "5", generation: 2, managedFields: [{ manager: "kubectl" }] };
    accepted({ ...profileWith({}, metadata), status: { conditions: [] } });
  });

  test("50,000 prefixes in one profile", () => {
    const cidr4 = Array.from(
      { length: 50_000 },
      (_, index) => `${10 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}.0/24`,
    );
    const profile = accepted(profileWithEgress({ cidr4, l4: { protocols: ["tcp"] } }));
    assert.equal(profile.spec.processes?.[0]?.network?.egress?.cidr4?.length, 50_000);
  });
});
