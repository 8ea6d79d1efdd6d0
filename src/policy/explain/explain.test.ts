import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules, L7Protocol, SecurityProfile } from "../../api/types.ts";
import { parseIp } from "../table/addresses.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import { NO_ANCESTRY, type Subject } from "../table/subject.ts";
import { egressProfile, ingressProfile, processOf, profileOf } from "../testing/profiles.ts";
import { Random } from "../testing/random.ts";
import { type Explanation, explain } from "./explain.ts";
import type { Traffic } from "./explain-layers.ts";

const APP: Subject = {
  path: "/bin/app",
  script: null,
  container: null,
  ephemeral: false,
  modified: false,
  ancestry: NO_ANCESTRY,
  user: 0,
};
const WORKLOAD = { namespace: "default", labels: { app: "web" } };
const { tcp: TCP, icmp: ICMP } = PROTOCOL_NUMBERS;

function traffic(address: string | null, port = 0, more: Partial<Traffic> = {}, protocol: number = TCP): Traffic {
  const peer = address === null ? null : { remote: parseIp(address) as bigint, protocol, port };
  return { direction: "egress", peer, resolved: null, question: null, application: "unknown", ...more };
}

function ask(profiles: SecurityProfile[], what: Traffic, process: Subject | null = APP): Explanation {
  return explain(profiles, { workload: WORKLOAD, process, traffic: what }, { searchDomains: [] });
}

/** What the only block says, layer by layer. */
function layers(explanation: Explanation) {
  return explanation.blocks[0]?.layers.map(
    ({ layer, passed, field, value }) => `${layer} ${passed ? "+" : "-"} ${field}: ${value}`,
  );
}

const WEB: EgressRules = {
  cidr4: ["11.0.0.0/8", "10.0.0.0/8"],
  fqdns: ["*.x.org"],
  l4: { protocolPorts: [{ protocol: "tcp", port: 80, endPort: 90 }] },
};

test("an allowed packet: each layer with the entry that matched, and the block behind it", () => {
  const explanation = ask([egressProfile(WEB)], traffic("10.1.2.3", 85));
  assert.equal(explanation.allowed, true);
  assert.deepEqual(explanation.allowedBy, [{ profile: "default/web", field: "spec.processes[0].network.egress" }]);
  assert.deepEqual(layers(explanation), [
    "ethertype + l3 (implied): ipv4, ipv6",
    "peer + cidr4: 10.0.0.0/8",
    "port + l4.protocolPorts: tcp 80-90",
  ]);
});

test("a denied packet: the layers that fail say what is listed instead", () => {
  const explanation = ask([egressProfile(WEB)], traffic("192.0.2.1", 443));
  assert.deepEqual([explanation.allowed, explanation.reason, explanation.verdict], [false, "Peer", "dropped"]);
  assert.deepEqual(explanation.verdicts, { enforce: "dropped", alert: "alerted", none: "counted" });
  assert.deepEqual(layers(explanation)?.slice(1), [
    "peer - cidr4, fqdns: cidr4 11.0.0.0/8, 10.0.0.0/8; fqdns *.x.org",
    "port - l4: tcp 80-90",
  ]);
});

test("an address that a listed name resolved to", () => {
  const explanation = ask([egressProfile(WEB)], traffic("192.0.2.1", 80, { resolved: "a.x.org" }));
  assert.equal(explanation.allowed, true);
  assert.equal(layers(explanation)?.[1], "peer + fqdns: *.x.org");
  assert.equal(ask([egressProfile(WEB)], traffic("192.0.2.1", 80, { resolved: "x.org" })).reason, "Peer");
});

test("a rule on the application leaves the answer open until it is said", () => {
  const profile = egressProfile({ ...WEB, l7: { protocols: ["http", "tls"] } });
  assert.deepEqual(ask([profile], traffic("10.0.0.1", 80)).provided, ["http", "tls"]);
  assert.deepEqual(ask([profile], traffic("10.0.0.1", 80, { application: "tls" })).provided, []);
  assert.equal(ask([profile], traffic("10.0.0.1", 80, { application: "dns" })).reason, "Application");
  assert.equal(ask([profile], traffic("10.0.0.1", 80, { application: "none" })).reason, "Application");
  const ping = egressProfile({ ...WEB, l4: { protocols: ["icmp"] }, l7: { protocols: ["http"] } });
  assert.deepEqual(ask([ping], traffic("10.0.0.1", 0, {}, ICMP)).provided, []);
});

test("a question for a name, of any resolver or of one", () => {
  const profile = egressProfile({ ...WEB, l7: { dns: ["www.a.com"] } });
  const asks = (question: string, address: string | null = null) =>
    ask([profile], traffic(address, address ? 80 : 0, { question, application: "dns" }));
  assert.equal(asks("www.a.com").allowed, true);
  assert.equal(asks("www.b.com").reason, "DnsName");
  assert.deepEqual(layers(asks("www.b.com")), ["dns-name - l7.dns: www.a.com"]);
  assert.equal(asks("www.a.com", "192.0.2.1").reason, "Peer");
  const byFqdns = ask([egressProfile(WEB)], traffic(null, 0, { question: "a.x.org", application: "dns" }));
  assert.deepEqual(layers(byFqdns), ["dns-name + fqdns: *.x.org"]);
});

test("ingress: who may connect to which port of the workload", () => {
  const profile = ingressProfile({ cidr4: ["10.0.0.0/8"], l4: { protocols: ["tcp"] } });
  assert.equal(ask([profile], traffic("10.0.0.1", 80, { direction: "ingress" })).allowed, true);
  assert.equal(ask([profile], traffic("11.0.0.1", 80, { direction: "ingress" })).reason, "Peer");
});

test("it says which profiles select the workload, and why the others do not", () => {
  const explanation = ask([egressProfile(WEB), profileOf("db", {})], traffic("10.0.0.1", 80));
  assert.deepEqual(explanation.profiles, [
    { profile: "default/db", selected: false, reason: "label app is web, not db" },
    { profile: "default/web", selected: true, reason: "labels match app=web" },
  ]);
  const none = ask([profileOf("db", {})], traffic("10.0.0.1", 80));
  assert.deepEqual([none.judgedBy, none.allowed], ["unrestricted", true]);
});

test("it says whose rules judge, and why", () => {
  const shell: Subject = { ...APP, path: "/bin/sh" };
  const withDefault = profileOf("web", { default: { egress: WEB } });
  const judged = (profiles: SecurityProfile[], process: Subject | null) => {
    const { judgedBy, because, reason } = ask(profiles, traffic("192.0.2.1", 80), process);
    return [judgedBy, because, reason];
  };
  const only = "no profile has a default, so only neighbour discovery and group reports pass";
  assert.deepEqual(judged([egressProfile(WEB)], APP), ["process", "/bin/app is listed", "Peer"]);
  assert.deepEqual(judged([egressProfile(WEB)], shell), [
    "nobody",
    `no profile lists /bin/sh: ${only}`,
    "BinaryUnknown",
  ]);
  assert.deepEqual(judged([egressProfile(WEB)], null), ["nobody", `it belongs to no process: ${only}`, "Unattributed"]);
  assert.deepEqual(judged([withDefault], shell), [
    "default",
    "no profile lists /bin/sh: it is judged by default",
    "Peer",
  ]);
  const changed = judged([egressProfile(WEB)], { ...APP, modified: true });
  assert.equal(changed[2], "BinaryModified");
  assert.match(String(changed[1]), /the file was changed and no entry has binary: Any/);
});

test("a changed file: blocks without binary: Any are shown to fail by it", () => {
  const any = profileOf("any", {
    labelSelector: { matchLabels: { app: "web" } },
    processes: [processOf("/bin/app", { egress: WEB }, { binary: "Any" })],
  });
  const explanation = ask([any, egressProfile(WEB)], traffic("10.0.0.1", 80), { ...APP, modified: true });
  assert.deepEqual(
    explanation.allowedBy.map(({ profile }) => profile),
    ["default/any"],
  );
  assert.deepEqual(
    explanation.blocks.map(({ profile, allows }) => [profile, allows]),
    [
      ["default/any", true],
      ["default/web", false],
    ],
  );
});

test("property: the blocks that allow by themselves are those behind the verdict of the table", () => {
  const random = new Random(7);
  const address = () => `10.0.${random.below(3)}.${random.below(3)}`;
  const name = () => random.pick(["a.com", "b.com", "x.a.com", "y.x.a.com"]);
  const pattern = () => random.pick(["a.com", "*.a.com", "b.com", "*", "*.x.a.com"]);
  const applications: L7Protocol[] = ["dns", "http", "tls", "any"];
  const rules = (): EgressRules => ({
    cidr4: random.list(3, () => `${address()}/${random.pick([8, 22, 24, 32])}`),
    fqdns: random.list(2, pattern),
    ...(random.chance(0.3)
      ? { l3: { protocols: random.list(2, () => random.pick(["ipv4", "ipv6", "arp"] as const)) } }
      : {}),
    l4: {
      protocols: random.list(1, () => random.pick(["tcp", "udp", "any", "icmp"] as const)),
      protocolPorts: random.list(2, () => ({
        protocol: "tcp" as const,
        port: 1 + random.below(6),
        endPort: 6 + random.below(6),
      })),
    },
    l7: {
      ...(random.chance(0.4) ? { protocols: random.list(2, () => random.pick(applications)) } : {}),
      ...(random.chance(0.4) ? { dns: random.list(2, pattern) } : {}),
    },
  });
  const outcomes = new Map<string, number>();
  for (let round = 0; round < 1_500; round += 1) {
    const profiles = Array.from({ length: 1 + random.below(4) }, (_, index) =>
      profileOf(`p${index}`, {
        labelSelector: { matchLabels: { app: "web" } },
        processes: [processOf("/bin/app", { egress: rules() }, { binary: random.pick(["Image", "Any"] as const) })],
      }),
    );
    const question = random.chance(0.4) ? name() : null;
    const application = question === null ? random.pick(["dns", "http", "tls", "none"] as const) : "dns";
    const what = traffic(random.chance(0.1) ? "2001:db8::1" : address(), 1 + random.below(12), {
      question,
      application,
      resolved: random.chance(0.5) ? name() : null,
    });
    const process = { ...APP, modified: random.chance(0.2) };
    const explanation = ask(profiles, what, process);
    if (explanation.judgedBy !== "process") continue;
    const alone = explanation.blocks.filter(({ allows }) => allows).map(({ profile }) => profile);
    assert.deepEqual(
      explanation.allowedBy.map(({ profile }) => profile),
      alone.sort(),
    );
    assert.equal(explanation.allowed, alone.length > 0);
    outcomes.set(explanation.reason, (outcomes.get(explanation.reason) ?? 0) + 1);
  }
  for (const reason of ["Allowed", "Ethertype", "Peer", "Port", "Application", "DnsName"])
    assert.ok((outcomes.get(reason) ?? 0) > 5, `${reason} was seen`);
});
