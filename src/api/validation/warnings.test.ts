import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { profileWith, profileWithEgress, profileWithIngress } from "../testing/refused-case.ts";
import { validateProfile } from "./validate.ts";

/** `field code` of each warning; fields below the one process's network are shortened. */
function warnings(object: unknown): string[] {
  const { errors, warnings } = validateProfile(object);
  assert.deepEqual(errors, []);
  return warnings.map(({ field, code }) => `${field.replace("spec.processes[0].network.", "")} ${code}`);
}

const TCP = { l4: { protocols: ["tcp"] } };
const PEER = { cidr4: ["10.0.0.0/8"] };
const DNS = { cidr4: ["10.96.0.10/32"], l4: { protocolPorts: [{ protocol: "udp", port: 53 }] } };

describe("a layer that stands alone", () => {
  test("ports without a peer", () => {
    assert.deepEqual(warnings(profileWithEgress(TCP)), ["egress.l4 PC_NEVER_MATCHES"]);
    assert.deepEqual(warnings(profileWithIngress(TCP)), ["ingress.l4 PC_NEVER_MATCHES"]);
  });
  test("peers without a port", () => {
    assert.deepEqual(warnings(profileWithEgress(PEER)), ["egress PC_NEVER_MATCHES"]);
  });
  test("both, or neither", () => {
    assert.deepEqual(warnings(profileWithEgress({ ...PEER, ...TCP })), []);
    assert.deepEqual(warnings(profileWithEgress({})), []);
    assert.deepEqual(warnings(profileWithEgress({ l3: { protocols: ["arp"] } })), []);
  });
});

describe("families and protocols that exclude each other", () => {
  test("a family without a peer of it", () => {
    const rules = { ...PEER, ...TCP, l3: { protocols: ["ipv4", "ipv6"] } };
    assert.deepEqual(warnings(profileWithEgress(rules)), ["egress.l3.protocols[1] PC_NEVER_MATCHES"]);
    assert.deepEqual(warnings(profileWithEgress({ ...rules, cidr6: ["::/0"] })), []);
  });
  test("ICMPv6 over IPv4 only", () => {
    const l4 = { protocols: ["icmp", "icmpv6"] };
    assert.deepEqual(warnings(profileWithEgress({ ...PEER, l4 })), ["egress.l4.protocols[1] PC_NEVER_MATCHES"]);
    assert.deepEqual(warnings(profileWithEgress({ ...PEER, cidr6: ["::/0"], l4 })), []);
  });
  test("a port of a protocol that is allowed whole", () => {
    const protocolPorts = [{ protocol: "tcp", port: 80 }];
    const whole = profileWithEgress({ ...PEER, l4: { protocols: ["tcp"], protocolPorts } });
    assert.deepEqual(warnings(whole), ["egress.l4.protocolPorts[0] PC_PORT_REDUNDANT"]);
    assert.deepEqual(warnings(profileWithEgress({ ...PEER, l4: { protocols: ["udp"], protocolPorts } })), []);
  });
});

describe("names that can never be learned", () => {
  const fqdns = ["www.example.com"];
  test("with a resolver on port 53, all is well", () => {
    assert.deepEqual(warnings(profileWithEgress({ ...DNS, fqdns })), []);
    assert.deepEqual(warnings(profileWithEgress({ ...DNS, fqdns, l7: { protocols: ["dns"] } })), []);
  });
  test("no resolver's address", () => {
    assert.deepEqual(warnings(profileWithEgress({ fqdns, l4: DNS.l4 })), ["egress.fqdns PC_NEVER_MATCHES"]);
  });
  test("no DNS port", () => {
    const l4 = { protocolPorts: [{ protocol: "tcp", port: 80 }] };
    assert.deepEqual(warnings(profileWithEgress({ ...PEER, fqdns, l4 })), ["egress.fqdns PC_NEVER_MATCHES"]);
    const range = { protocolPorts: [{ protocol: "tcp", port: 1, endPort: 1024 }] };
    assert.deepEqual(warnings(profileWithEgress({ ...PEER, fqdns, l4: range })), []);
  });
  test("dns is not among the applications", () => {
    const rules = { ...DNS, fqdns, l7: { protocols: ["http"] } };
    assert.deepEqual(warnings(profileWithEgress(rules)), ["egress.fqdns PC_NEVER_MATCHES"]);
  });
  test("a name that may not be asked", () => {
    const rules = { ...DNS, fqdns: ["a.example.com", "example.com"], l7: { dns: ["*.example.com"] } };
    assert.deepEqual(warnings(profileWithEgress(rules)), ["egress.fqdns[1] PC_NEVER_MATCHES"]);
    const wide = { ...DNS, fqdns: ["*.example.com"], l7: { dns: ["a.example.com"] } };
    assert.deepEqual(warnings(profileWithEgress(wide)), []);
  });
  test("an empty l7.dns", () => {
    assert.deepEqual(warnings(profileWithEgress({ ...DNS, l7: { dns: [] } })), ["egress.l7.dns PC_NEVER_MATCHES"]);
  });
  test("a single label, which resolvers complete", () => {
    assert.deepEqual(warnings(profileWithEgress({ ...DNS, fqdns: ["pong", "*"] })), [
      "egress.fqdns[0] PC_NAME_SINGLE_LABEL",
    ]);
    assert.deepEqual(warnings(profileWithEgress({ ...DNS, l7: { dns: ["pong"] } })), []);
  });
});

describe("selecting nothing", () => {
  test("no label, or bookkeeping only", () => {
    for (const labels of [undefined, {}, { "helm.sh/chart": "a-1", "app.kubernetes.io/managed-by": "Helm" }]) {
      assert.deepEqual(warnings(profileWith({}, { labels })), ["metadata.labels PC_SELECTS_NOTHING"]);
    }
  });
  test("a selector without conditions", () => {
    assert.deepEqual(warnings(profileWith({ labelSelector: {} })), ["spec.labelSelector PC_SELECTS_NOTHING"]);
  });
  test("a selector makes up for labels", () => {
    const labelSelector = { matchLabels: { app: "a" } };
    assert.deepEqual(warnings(profileWith({ labelSelector }, { labels: undefined })), []);
  });
});

describe("a default without neighbour discovery", () => {
  const processes4 = [{ path: "/a", network: { egress: { ...PEER, ...TCP } } }];
  const processes6 = [{ path: "/a", network: { egress: { cidr6: ["2001:db8::/32"], ...TCP } } }];
  const arp = { l3: { protocols: ["arp"] } };
  const nd = { cidr6: ["fe80::/10", "ff02::/16", "fd00::/8"], l4: { protocols: ["icmpv6"] } };

  test("IPv4 needs ARP both ways", () => {
    const expected = ["spec.default PC_DEFAULT_WITHOUT_NEIGHBOURS"];
    assert.deepEqual(warnings(profileWith({ processes: processes4, default: {} })), expected);
    assert.deepEqual(warnings(profileWith({ processes: processes4, default: { egress: arp } })), expected);
    assert.deepEqual(warnings(profileWith({ processes: processes4, default: { egress: arp, ingress: arp } })), []);
  });
  test("IPv6 needs ICMPv6 both ways", () => {
    const expected = ["spec.default PC_DEFAULT_WITHOUT_NEIGHBOURS"];
    assert.deepEqual(warnings(profileWith({ processes: processes6, default: { egress: nd, ingress: arp } })), expected);
    assert.deepEqual(warnings(profileWith({ processes: processes6, default: { egress: nd, ingress: nd } })), []);
    const everybody = { ...nd, cidr6: ["::/0"] };
    assert.deepEqual(warnings(profileWith({ processes: processes6, default: { egress: everybody, ingress: nd } })), []);
  });
  test("neighbours ask from their global addresses too", () => {
    const onLink = { ...nd, cidr6: ["fe80::/10", "ff02::/16"] };
    assert.deepEqual(warnings(profileWith({ processes: processes6, default: { egress: onLink, ingress: onLink } })), [
      "spec.default PC_DEFAULT_WITHOUT_NEIGHBOURS",
    ]);
  });
  test("without a default there is nothing to warn of", () => {
    assert.deepEqual(warnings(profileWith({ processes: processes4 })), []);
  });
});
