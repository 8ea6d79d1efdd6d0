import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodPeer } from "../../api/types.ts";
import { type CompileOptions, compileTable } from "../compile/compile.ts";
import { CompileMemory } from "../compile/compile-memory.ts";
import { explain } from "../explain/explain.ts";
import { serializeRulesetDelta } from "../serialize/ruleset-delta.ts";
import { rulesetsOf } from "../serialize/serialize-parts.ts";
import { egressProfile } from "../testing/profiles.ts";
import { parseIp } from "./addresses.ts";
import { describePodPeer, matchesPodPeer, type PeerResolver } from "./peers.ts";
import { parsePrefix } from "./prefixes.ts";
import { NO_ANCESTRY } from "./subject.ts";

const TEAM_A = { "kubernetes.io/metadata.name": "other", team: "a" };

function means(peer: PodPeer, namespace: string, labels: Record<string, string> = { app: "web" }): boolean {
  return matchesPodPeer(peer, "own", { namespace, labels }, namespace === "other" ? TEAM_A : {});
}

test("a pod selector means pods of the profile's own namespace", () => {
  assert.ok(means({ podSelector: { matchLabels: { app: "web" } } }, "own"));
  assert.ok(!means({ podSelector: { matchLabels: { app: "web" } } }, "other"));
  assert.ok(!means({ podSelector: { matchLabels: { app: "db" } } }, "own"));
  assert.ok(means({ podSelector: {} }, "own", {}));
});

test("with a namespace selector both have to hold, and an empty one is every namespace", () => {
  const team = { namespaceSelector: { matchLabels: { team: "a" } } };
  assert.ok(means(team, "other"));
  assert.ok(!means(team, "own"));
  assert.ok(!means({ ...team, podSelector: { matchLabels: { app: "db" } } }, "other"));
  assert.ok(means({ namespaceSelector: {} }, "own") && means({ namespaceSelector: {} }, "other"));
});

test("peers in words", () => {
  const podSelector = { matchLabels: { app: "web" } };
  assert.equal(describePodPeer({ podSelector }, "shop"), "pods app=web of namespace shop");
  assert.equal(describePodPeer({ podSelector: {} }, "shop"), "all pods of namespace shop");
  assert.equal(describePodPeer({ namespaceSelector: {}, podSelector }, "shop"), "pods app=web of all namespaces");
});

const cluster = (...pods: string[]): PeerResolver => ({
  pods: () => ({ cidrs4: pods.map((address) => parsePrefix(`${address}/32`, "ipv4")), cidrs6: [] }),
  service: () => ({ cidrs4: [], cidrs6: [parsePrefix("2001:db8::1/128", "ipv6")] }),
});
const profile = egressProfile({
  cidr4: ["10.9.0.0/16"],
  pods: [{ podSelector: { matchLabels: { app: "web" } } }],
  services: [{ name: "db" }],
  l4: { protocols: ["tcp"] },
});
const compile = (peers: PeerResolver) => compileTable([profile], { searchDomains: [], peers });
const rulesOf = (peers: PeerResolver) => {
  const ruleset = [...rulesetsOf(compile(peers)).values()][0];
  assert.ok(ruleset);
  return ruleset;
};

test("addresses of pods and services are peers like any other", () => {
  const { peers4, peers6, ethertype } = rulesOf(cluster("10.0.0.1", "10.0.0.2"));
  assert.deepEqual(
    peers4.map(({ address }) => address),
    ["10.0.0.1", "10.0.0.2", "10.9.0.0"],
  );
  assert.deepEqual(
    peers6.map(({ address }) => address),
    ["2001:db8::1"],
  );
  assert.deepEqual(ethertype, { ipv4: 1n, ipv6: 1n, arp: 0n });
});

test("when pods come and go, only peers change", () => {
  const many = Array.from({ length: 20 }, (_, index) => `10.0.1.${index}`);
  assert.ok(serializeRulesetDelta(rulesOf(cluster(...many)), rulesOf(cluster(...many.slice(2), "10.0.0.7"))));
});

test("without a cluster they are refused, and the field is named", () => {
  assert.throws(() => compileTable([profile], { searchDomains: [] }), {
    code: "PC_COMPILE",
    message: /default\/web: spec\.processes\[0\]\.network\.egress\.pods: .* cidr4 or cidr6/,
  });
});

test("explain says by which selector an address is allowed", () => {
  const remote = parseIp("10.0.0.1");
  assert.ok(remote !== null);
  const explanation = explain(
    [profile],
    {
      workload: { namespace: "default", labels: { app: "web" } },
      process: {
        path: "/bin/app",
        script: null,
        container: null,
        ephemeral: false,
        modified: false,
        ancestry: NO_ANCESTRY,
        user: 0,
      },
      traffic: {
        direction: "egress",
        peer: { remote, protocol: 6, port: 80 },
        resolved: null,
        question: null,
        application: "unknown",
      },
    },
    { searchDomains: [], peers: cluster("10.0.0.1") },
  );
  assert.equal(explanation.allowed, true);
  const layer = explanation.blocks[0]?.layers.find((item) => item.layer === "peer");
  assert.deepEqual([layer?.field, layer?.value], ["pods[0]", "pods app=web of namespace default"]);
});

const resolving = egressProfile({
  fqdns: ["www.example.com"],
  peers: ["resolver"],
  l4: { protocolPorts: [{ protocol: "udp", port: 53 }] },
});
const resolverPeers = (options: Partial<CompileOptions>) => {
  const [ruleset] = rulesetsOf(compileTable([resolving], { searchDomains: [], ...options })).values();
  assert.ok(ruleset);
  return [...ruleset.peers4, ...ruleset.peers6].map(({ address, prefixLength }) => `${address}/${prefixLength}`);
};

test("the resolver is what resolv.conf names, and in a cluster its DNS Service, which is asked for by its name", () => {
  assert.deepEqual(resolverPeers({}), []);
  assert.deepEqual(resolverPeers({ resolvers: ["10.96.0.10", "2001:db8::53"] }), ["10.96.0.10/32", "2001:db8::53/128"]);
  const asked: object[] = [];
  const peers: PeerResolver = {
    pods: () => assert.fail("no pods are selected"),
    service: (service) => {
      asked.push(service);
      return { cidrs4: [parsePrefix("10.96.0.10/32", "ipv4")], cidrs6: [] };
    },
  };
  assert.deepEqual(resolverPeers({ peers }), ["10.96.0.10/32"]);
  assert.deepEqual(asked, [{ namespace: "kube-system", name: "kube-dns" }]);
});

test("other name servers make another table, with what was compiled before at hand or not", () => {
  const memory = new CompileMemory();
  const first = resolverPeers({ resolvers: ["10.0.0.1"], memory });
  const second = resolverPeers({ resolvers: ["10.0.0.2"], memory });
  assert.deepEqual([first, second], [["10.0.0.1/32"], ["10.0.0.2/32"]]);
});
