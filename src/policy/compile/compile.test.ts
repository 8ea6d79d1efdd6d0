import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules, SecurityProfile } from "../../api/types.ts";
import { parseTable, serializeTable } from "../serialize/serialize.ts";
import { CompileError } from "../table/errors.ts";
import { findBinary, nameMasks, originsOf, peerMask, portMask } from "../table/lookup.ts";
import { reverseName } from "../table/names.ts";
import { bytesToNumber } from "../table/prefixes.ts";
import { EMPTY_RULESET } from "../table/rulesets.ts";
import type { Ruleset, RuleTable } from "../table/tables.ts";
import { egressProfile, ingressProfile, processOf, profileOf } from "../testing/profiles.ts";
import { compileTable } from "./compile.ts";

const TCP = 6;
const TEN = bytesToNumber([10, 0, 0, 1]);

function compile(...profiles: SecurityProfile[]): RuleTable {
  return compileTable(profiles, { searchDomains: [] });
}

function egressOf(rules: EgressRules): Ruleset {
  return (compile(egressProfile(rules)).binaries[0] as { egress: Ruleset }).egress;
}

const CIDRS = Array.from({ length: 100 }, (_, index) => `10.${index}.0.0/16`);

test("L3: what l3.protocols lists, else what the destinations imply, else both families", () => {
  const families = (rules: EgressRules) => egressOf(rules).ethertype;
  assert.deepEqual(families({ l3: { protocols: ["arp", "ipv6"] }, cidr6: ["::/0"] }), { ipv4: 0n, ipv6: 1n, arp: 1n });
  assert.deepEqual(families({ cidr4: ["10.0.0.0/8"] }), { ipv4: 1n, ipv6: 0n, arp: 0n });
  assert.deepEqual(families({ cidr6: ["::/0"] }), { ipv4: 0n, ipv6: 1n, arp: 0n });
  assert.deepEqual(families({ fqdns: ["a.b"] }), { ipv4: 1n, ipv6: 1n, arp: 0n });
  assert.deepEqual(families({}), { ipv4: 1n, ipv6: 1n, arp: 0n });
});

test("a direction of which nothing is said is the empty rule set; an empty one is a block that allows nothing", () => {
  const [binary] = compile(egressProfile({})).binaries;
  assert.equal(binary?.ingress, EMPTY_RULESET);
  assert.equal(binary?.ingress.hash, "");
  assert.equal(binary?.egress.blocks.length, 1);
  assert.notEqual(binary?.egress.hash, "");
});

test("L7: a block without l7.protocols, or with any, does not look at the payload", () => {
  assert.equal(egressOf({}).anyApplication, 1n);
  assert.equal(egressOf({ l7: { protocols: ["http", "any"] } }).anyApplication, 1n);
  const listed = egressOf({ l7: { protocols: ["dns", "http"] } });
  assert.equal(listed.anyApplication, 0n);
  assert.deepEqual(listed.application, { dns: 1n, http: 1n, tls: 0n });
});

test("names: l7.dns may be asked, fqdns may be connected to, and asked where l7.dns is absent", () => {
  const masks = (rules: EgressRules, name: string) => nameMasks(egressOf(rules), reverseName(name));
  assert.deepEqual(masks({ fqdns: ["a.com"] }, "a.com"), { ask: 1n, connect: 1n });
  const both: EgressRules = { fqdns: ["a.com"], l7: { dns: ["b.com"] } };
  assert.deepEqual(masks(both, "a.com"), { ask: 0n, connect: 1n });
  assert.deepEqual(masks(both, "b.com"), { ask: 1n, connect: 0n });
});

test("names: any may be asked only where neither fqdns nor l7.dns is there; an empty l7.dns allows none", () => {
  assert.equal(egressOf({ cidr4: ["10.0.0.0/8"] }).askAny, 1n);
  assert.equal(egressOf({ fqdns: ["a.com"] }).askAny, 0n);
  assert.equal(egressOf({ l7: { dns: [] } }).askAny, 0n);
});

test("names: whoever asks the workload may ask anything", () => {
  const [binary] = compile(ingressProfile({ cidr4: ["10.0.0.0/8"] })).binaries;
  assert.equal(binary?.ingress.askAny, 1n);
});

test("names: search-domain expansions may be asked, and are nothing to connect to", () => {
  const profile = egressProfile({ fqdns: ["api", "*.x.org"] });
  const table = compileTable([profile], { searchDomains: ["Svc.Local.", "svc.local", ""] });
  const ruleset = (table.binaries[0] as { egress: Ruleset }).egress;
  assert.deepEqual(nameMasks(ruleset, reverseName("api.svc.local")), { ask: 1n, connect: 0n });
  assert.deepEqual(nameMasks(ruleset, reverseName("a.x.org.svc.local")), { ask: 1n, connect: 0n });
  assert.equal(ruleset.names.length, 4);
});

test("several profiles: the union of what they allow, per process, and each verdict names its profile", () => {
  const table = compile(
    profileOf("a", {
      processes: [processOf("/bin/app", { egress: { cidr4: ["10.0.0.0/8"], l4: { protocols: ["tcp"] } } })],
    }),
    profileOf("b", {
      processes: [processOf("/bin/app", { egress: { cidr4: ["10.0.0.0/24"], l4: { protocols: ["udp"] } } })],
    }),
  );
  const { egress } = table.binaries[0] as { egress: Ruleset };
  const peers = peerMask(egress, "ipv4", TEN);
  assert.equal(peers, 3n);
  // A union of blocks, no cross product: what a's addresses and b's protocol make together is not allowed.
  assert.deepEqual(originsOf(egress, peers & portMask(egress, TCP, 80)), [
    { profile: "default/a", field: "spec.processes[0].network.egress" },
  ]);
});

test("actions, attacks and default are united; no default at all is null", () => {
  const table = compile(
    profileOf("a", {
      actions: ["enforce"],
      attacks: ["ip-spoofing"],
      default: { egress: { l3: { protocols: ["arp"] } } },
    }),
    profileOf("b", { actions: ["alert"], attacks: ["arp-spoofing", "ip-spoofing"] }),
  );
  assert.deepEqual(table.actions, ["alert", "enforce"]);
  assert.deepEqual(table.attacks, ["arp-spoofing", "ip-spoofing"]);
  assert.equal(table.default?.egress.ethertype.arp, 1n);
  assert.equal(table.default?.ingress, EMPTY_RULESET);
  assert.equal(compile(profileOf("c", {})).default, null);
});

test("a process in a named container has what the path has in any container, too", () => {
  const table = compile(
    profileOf("a", {
      processes: [
        processOf("/bin/app", { egress: { cidr4: ["10.0.0.0/8"] } }),
        processOf("/bin/app", { egress: { cidr4: ["11.0.0.0/8"] } }, { container: "side" }),
        processOf("/bin/only", { egress: {} }, { container: "side" }),
      ],
    }),
  );
  assert.deepEqual(
    table.binaries.map(({ path, container }) => [path, container]),
    [
      ["/bin/app", null],
      ["/bin/app", "side"],
      ["/bin/only", "side"],
    ],
  );
  assert.equal(findBinary(table, "/bin/app", { container: "side", ephemeral: false })?.rules.egress.blocks.length, 2);
  assert.equal(findBinary(table, "/bin/app", { container: "main", ephemeral: false })?.rules.egress.blocks.length, 1);
  assert.equal(findBinary(table, "/bin/only", { container: "main", ephemeral: false }), null);
  assert.equal(findBinary(table, "/bin/only", { container: null, ephemeral: false }), null);
});

test("one profile that leaves ephemeral containers out is enough, and only names let them in", () => {
  const processes = [
    processOf("/bin/app", { egress: { cidr4: ["10.0.0.0/8"] } }),
    processOf("/bin/app", { egress: { cidr4: ["11.0.0.0/8"] } }, { container: "debug" }),
  ];
  const including = compile(profileOf("a", { processes }));
  const excluding = compile(profileOf("a", { processes }), profileOf("b", { ephemeralContainers: "Exclude" }));
  const found = (table: RuleTable, container: string, ephemeral: boolean) =>
    findBinary(table, "/bin/app", { container, ephemeral })?.rules.egress.blocks.length ?? 0;
  assert.deepEqual(
    [including, excluding].map(({ ephemeralContainers }) => ephemeralContainers),
    ["Include", "Exclude"],
  );
  assert.notEqual(including.hash, compile(profileOf("a", { processes, ephemeralContainers: "Exclude" })).hash);
  assert.deepEqual([found(including, "other", true), found(including, "debug", true)], [1, 2]);
  assert.deepEqual([found(excluding, "other", true), found(excluding, "debug", true)], [0, 2]);
  assert.deepEqual([found(excluding, "other", false), found(excluding, "debug", false)], [1, 2]);
  assert.deepEqual(parseTable(serializeTable(excluding)), excluding);
});

test("binary: Any is a matter of its block alone", () => {
  const table = compile(
    profileOf("a", { processes: [processOf("/bin/app", { egress: { cidr4: ["10.0.0.0/8"] } }, { binary: "Any" })] }),
    profileOf("b", { processes: [processOf("/bin/app", { egress: { cidr4: ["11.0.0.0/8"] } })] }),
  );
  const { egress } = table.binaries[0] as { egress: Ruleset };
  assert.deepEqual(
    originsOf(egress, egress.anyBinary).map((origin) => origin.profile),
    ["default/a"],
  );
});

test("the order of profiles and lists does not matter, to the table or to its hash", () => {
  const rules = (reverse: boolean): EgressRules => {
    const order = <T>(list: T[]) => (reverse ? [...list].reverse() : list);
    return {
      cidr4: order(["10.0.0.0/8", "11.0.0.0/8"]),
      fqdns: order(["a.com", "*.b.com"]),
      l4: {
        protocols: order(["tcp", 47]),
        protocolPorts: order([
          { protocol: "udp", port: 53 },
          { protocol: "udp", port: 5353 },
        ]),
      },
      l7: { protocols: order(["dns", "http"]) },
    };
  };
  const a = (reverse: boolean) =>
    profileOf("a", { actions: ["alert"], processes: [processOf("/bin/app", { egress: rules(reverse) })] });
  const b = profileOf("b", { processes: [processOf("/bin/app", { egress: { cidr4: ["12.0.0.0/8"] } })] });
  assert.deepEqual(compile(a(false), b), compile(b, a(true)));
});

test("rule sets with one content have one hash, whoever wrote them; the tables tell them apart", () => {
  const one = compile(profileOf("a", { processes: [processOf("/bin/x", { egress: { cidr4: ["10.0.0.0/8"] } })] }));
  const two = compile(profileOf("b", { processes: [processOf("/bin/y", { egress: { cidr4: ["10.0.0.0/8"] } })] }));
  assert.equal(one.binaries[0]?.egress.hash, two.binaries[0]?.egress.hash);
  assert.match(one.hash, /^[0-9a-f]{64}$/);
  assert.notEqual(one.hash, two.hash);
});

test("more than 64 blocks for one process are refused, with the profiles that make them up", () => {
  const profiles = Array.from({ length: 65 }, (_, index) =>
    profileOf(`p${index}`, { processes: [processOf("/bin/app", { egress: { cidr4: [`10.0.${index}.0/24`] } })] }),
  );
  assert.throws(() => compile(...profiles), {
    code: "PC_COMPILE",
    message: /65 blocks.*egress of \/bin\/app.*default\/p64/,
  });
  assert.equal(compile(...profiles.slice(1)).binaries[0]?.egress.blocks.length, 64);
});

test("rules are counted for every container in which they hold, and refused before they are united", () => {
  const everywhere = processOf("/bin/a", { egress: { cidr4: CIDRS } });
  const somewhere = ["one", "two"].map((container) => ({
    ...processOf("/bin/a", { egress: { cidr4: ["9.0.0.0/8"] } }),
    container,
  }));
  const profile = profileOf("p", { processes: [everywhere, ...somewhere] });
  // 100 anywhere, and 101 in each of the two.
  assert.ok(compileTable([profile], { searchDomains: [], maxRules: 302 }));
  assert.throws(() => compileTable([profile], { searchDomains: [], maxRules: 301 }), /come to 302.*at most 301/);
});

test("names are counted with all that the workload's search list makes of them", () => {
  const fqdns = Array.from({ length: 50 }, (_, index) => `n${index}.example`);
  const profile = egressProfile({ fqdns });
  const searchDomains = ["a.test", "b.test"];
  // 50 that may be connected to, and 150 that may be asked for.
  assert.ok(compileTable([profile], { searchDomains, maxRules: 200 }));
  assert.throws(() => compileTable([profile], { searchDomains, maxRules: 199 }), /come to 200/);
  assert.throws(
    () => compileTable([profile], { searchDomains, maxRules: 149 }),
    /more than 149 with the workload's 2 search/,
  );
  // Of a search list that is made for it, a name has as many forms as there are pairs of its domains.
  const labels = Array.from({ length: 30 }, (_, index) => `l${index}`);
  const nested = labels.map((_, index) => labels.slice(index).join("."));
  const deep = egressProfile({ fqdns: [`x.${nested[0]}`] });
  assert.throws(() => compileTable([deep], { searchDomains: nested, maxRules: 500 }), CompileError);
});

test("a path longer than the kernel can hold, and a profile given twice, are refused", () => {
  const long = `/${"x".repeat(255)}`;
  assert.throws(() => compile(egressProfile({}, long)), { code: "PC_COMPILE", message: /spec\.processes\[0\]\.path/ });
  assert.throws(() => compile(egressProfile({}), egressProfile({})), {
    code: "PC_COMPILE",
    message: /default\/web is given twice/,
  });
});

test("a listed link stands for its file too; links to one file share what either is allowed", () => {
  const busybox = new Map([
    ["/bin/wget", "/bin/busybox"],
    ["/bin/nc", "/bin/busybox"],
  ]);
  const to = (cidr: string) => ({ egress: { cidr4: [cidr] } });
  const profile = profileOf("tools", {
    processes: [processOf("/bin/wget", to("10.0.0.0/8")), processOf("/bin/nc", to("11.0.0.0/8"))],
  });
  const { binaries } = compileTable([profile], { searchDomains: [], files: (path) => [busybox.get(path) ?? path] });
  assert.deepEqual(
    binaries.map(({ path, egress }) => [path, egress.blocks.map(({ field }) => field)]),
    [
      ["/bin/busybox", ["spec.processes[0].network.egress", "spec.processes[1].network.egress"]],
      ["/bin/nc", ["spec.processes[1].network.egress"]],
      ["/bin/wget", ["spec.processes[0].network.egress"]],
    ],
  );
});
