import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules, SecurityProfile } from "../../api/types.ts";
import { parseIp } from "../table/addresses.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import { NO_ANCESTRY, type Subject } from "../table/subject.ts";
import { egressProfile, ingressProfile, profileOf } from "../testing/profiles.ts";
import { Random } from "../testing/random.ts";
import { explain, type Question } from "./explain.ts";
import type { Traffic } from "./explain-layers.ts";
import { remedyOf, withRemedy } from "./remedy.ts";

const { tcp: TCP, udp: UDP, icmp: ICMP } = PROTOCOL_NUMBERS;
const APP: Subject = {
  path: "/bin/app",
  script: null,
  container: null,
  ephemeral: false,
  modified: false,
  ancestry: NO_ANCESTRY,
  user: 0,
};
const SHELL: Subject = { ...APP, path: "/bin/sh" };
const OPTIONS = { searchDomains: [] };
const WEB: EgressRules = {
  cidr4: ["10.0.0.0/8"],
  fqdns: ["db.example.com"],
  l4: { protocolPorts: [{ protocol: "tcp", port: 443 }] },
};

function question(address: string | null, port: number, more: Partial<Traffic> = {}, process: Subject | null = APP) {
  const peer = address === null ? null : { remote: parseIp(address) as bigint, protocol: TCP, port };
  const traffic: Traffic = {
    direction: "egress",
    peer,
    resolved: null,
    question: null,
    application: "unknown",
    ...more,
  };
  return { workload: { namespace: "default", labels: { app: "web" } }, process, traffic };
}

const remedy = (profile: SecurityProfile, asked: Question) => remedyOf([profile], asked, OPTIONS);
const ENTRY = { profile: "default/web", field: "spec.processes[0]" };
const egress = (add: EgressRules) => ({ ...ENTRY, add: { network: { egress: add } } });

test("an address is added where the peer was refused, a name where the process had resolved one", () => {
  assert.deepEqual(remedy(egressProfile(WEB), question("192.0.2.1", 443)), egress({ cidr4: ["192.0.2.1/32"] }));
  assert.deepEqual(
    remedy(egressProfile(WEB), question("192.0.2.1", 443, { resolved: "api.example.org" })),
    egress({ fqdns: ["api.example.org"] }),
  );
});

test("the first name is added with the way to the resolver, and none where every name may be asked, which it would end", () => {
  const resolver = { peers: ["resolver" as const], l4: { protocols: ["udp" as const] } };
  const named = question("192.0.2.1", 443, { resolved: "api.example.org" });
  const port = { l4: { protocolPorts: [{ protocol: "tcp" as const, port: 443 }] } };
  assert.deepEqual(remedy(egressProfile(resolver), named), egress({ cidr4: ["192.0.2.1/32"], ...port }));
  const peer = { remote: parseIp("10.96.0.10") as bigint, protocol: UDP, port: 53 };
  const asks = question(null, 0, { peer, question: "api.example.org", application: "dns" });
  const silent = egressProfile({ cidr4: ["10.0.0.0/8"], ...port });
  const dns = { l4: { protocolPorts: [{ protocol: "udp" as const, port: 53 }] } };
  assert.deepEqual(remedy(silent, asks), egress({ ...dns, l7: { dns: ["api.example.org"] } }));
});

test("only what is missing is added: a port, an application, a name that is asked", () => {
  const port = { l4: { protocolPorts: [{ protocol: "tcp" as const, port: 80 }] } };
  assert.deepEqual(remedy(egressProfile(WEB), question("10.0.0.1", 80)), egress(port));
  assert.deepEqual(
    remedy(egressProfile({ ...WEB, l7: { protocols: ["http"] } }), question("10.0.0.1", 443, { application: "tls" })),
    egress({ l7: { protocols: ["tls"] } }),
  );
  const asks = question(null, 0, { question: "new.example.com", application: "dns" });
  assert.deepEqual(remedy(egressProfile(WEB), asks), egress({ fqdns: ["new.example.com"] }));
  const listed = egressProfile({ ...WEB, l7: { dns: ["db.example.com"] } });
  assert.deepEqual(remedy(listed, asks), egress({ l7: { dns: ["new.example.com"] } }));
});

test("a first list never shuts out what was implied", () => {
  const six = question("2001:db8::1", 443);
  assert.deepEqual(remedy(egressProfile(WEB), six), egress({ cidr6: ["2001:db8::1/128"] }));
  const listed = egressProfile({ ...WEB, l3: { protocols: ["ipv4"] } });
  assert.deepEqual(remedy(listed, six), egress({ l3: { protocols: ["ipv6"] }, cidr6: ["2001:db8::1/128"] }));
});

test("an executable that no profile lists gets an entry of its own, with nothing else in it", () => {
  assert.deepEqual(remedy(egressProfile(WEB), question("10.0.0.1", 443, {}, SHELL)), {
    profile: "default/web",
    field: "spec",
    add: {
      processes: [
        {
          path: "/bin/sh",
          network: { egress: { cidr4: ["10.0.0.1/32"], l4: { protocolPorts: [{ protocol: "tcp", port: 443 }] } } },
        },
      ],
    },
  });
});

test("a direction that the entry does not have", () => {
  const asked = question("10.0.0.1", 80, { direction: "ingress" });
  const rules = { cidr4: ["10.0.0.1/32"], l4: { protocolPorts: [{ protocol: "tcp", port: 80 }] } };
  assert.deepEqual(remedy(egressProfile(WEB), asked), { ...ENTRY, add: { network: { ingress: rules } } });
  assert.deepEqual(remedy(ingressProfile({ cidr4: ["10.0.0.0/8"] }), asked)?.field, "spec.processes[0]");
});

test("a changed file needs `binary: Any`", () => {
  const asked = question("10.0.0.1", 443, {}, { ...APP, modified: true });
  assert.deepEqual(remedy(egressProfile(WEB), asked), { ...ENTRY, add: { binary: "Any" } });
});

test("traffic of no process grows the `default` that there is, and gets none where there is none", () => {
  const asked = question("10.0.0.1", 443, {}, null);
  const withDefault = profileOf("web", { default: { egress: WEB } });
  assert.equal(remedy(withDefault, asked), null, "it is allowed already");
  const other = question("192.0.2.1", 443, {}, null);
  assert.deepEqual(remedy(withDefault, other), {
    profile: "default/web",
    field: "spec.default",
    add: { egress: { cidr4: ["192.0.2.1/32"] } },
  });
  assert.equal(remedy(egressProfile(WEB), other), null);
});

test("whatever is refused by a rule is allowed after the change, and what was allowed stays so", () => {
  const random = new Random(7);
  const addresses = ["10.0.0.1", "192.0.2.1", "2001:db8::1", "203.0.113.9"];
  let remedies = 0;
  const anyQuestion = (): Question => {
    const direction = random.pick(["egress", "ingress"] as const);
    const protocol = random.pick([TCP, UDP, ICMP]);
    const peer = {
      remote: parseIp(random.pick(addresses)) as bigint,
      protocol,
      port: protocol === ICMP ? 0 : random.pick([53, 443]),
    };
    const asked = question(null, 0, {
      direction,
      peer,
      resolved: direction === "egress" ? random.pick([null, "db.example.com", "x.example.org"]) : null,
      application: protocol === ICMP ? "unknown" : random.pick(["unknown", "http", "tls", "none"] as const),
    });
    return { ...asked, process: random.pick([APP, SHELL, { ...APP, modified: true }]) };
  };
  for (let round = 0; round < 300; round++) {
    const rules: EgressRules = {
      ...random.pick([{}, { cidr4: ["10.0.0.0/8"] }, { cidr6: ["2001:db8::/32"] }]),
      ...random.pick([{}, { fqdns: ["*.example.com"] }]),
      ...random.pick([{}, { l3: { protocols: ["ipv4" as const] } }, { l3: { protocols: ["ipv6" as const] } }]),
      ...random.pick([
        {},
        { l4: { protocols: ["udp" as const] } },
        { l4: { protocolPorts: [{ protocol: "tcp" as const, port: 443 }] } },
      ]),
      ...random.pick([{}, { l7: { protocols: ["http" as const] } }]),
    };
    const profile = egressProfile(rules);
    const asked = anyQuestion();
    const found = remedy(profile, asked);
    if (found === null) {
      assert.equal(explain([profile], asked, OPTIONS).allowed, true, JSON.stringify(rules));
      continue;
    }
    remedies++;
    const changed = withRemedy(profile, found);
    assert.equal(explain([changed], asked, OPTIONS).allowed, true);
    for (let other = 0; other < 5; other++) {
      const earlier = anyQuestion();
      if (explain([profile], earlier, OPTIONS).allowed) assert.ok(explain([changed], earlier, OPTIONS).allowed);
    }
  }
  assert.ok(remedies > 100, `${remedies} of 300`);
});
