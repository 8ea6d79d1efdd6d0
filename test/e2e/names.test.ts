/** Section 5: which names may be asked, which may be connected to, and what answers teach. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import type { VerdictEvent } from "../../src/flow/record.ts";
import { addressData, questionSection, TYPE, wireName } from "../tools/servers/dns-message.ts";
import type { Zone } from "../tools/servers/zone.ts";
import { isVerdict } from "./harness/event-stream.ts";
import { Fixture } from "./harness/fixture.ts";
import { egress, profile } from "./harness/profiles.ts";
import { addSearchDomains } from "./harness/resolver.ts";

const DNS = "198.51.100.53";
const DNS6 = "2001:db8:1::53";
const PORTS = [
  { protocol: "udp", port: 53 },
  { protocol: "tcp", port: 53 },
  { protocol: "udp", port: 7000 },
  { protocol: "tcp", port: 7000 },
  { protocol: "tcp", port: 80 },
] as const;
const RESOLVERS = { cidr4: [`${DNS}/32`], cidr6: [`${DNS6}/128`], l4: { protocolPorts: [...PORTS] } };

/** Every name leads to an address of its own where a test needs one that no other name has taught. */
const ZONE: Zone = {
  "www.example.com": { a: ["198.51.100.1"], aaaa: ["2001:db8:1::1"] },
  "many.example.com": { a: ["192.0.2.1", "192.0.2.2", "198.51.100.2", "198.51.100.3"] },
  "chain.example.com": { cname: "middle.example.net" },
  "middle.example.net": { cname: "end.example.org" },
  "end.example.org": { a: ["198.51.100.1"] },
  "*.wild.example.com": { a: ["198.51.100.1"] },
  "wild.example.com": { a: ["198.51.100.1"] },
  "short.example.com": { a: ["198.51.100.1"], ttl: 1 },
  "big.example.com": { a: ["198.51.100.1"], truncate: true },
  "strange.example.com": { a: ["198.51.100.1"], strangers: { "other.example.com": "198.51.100.2" } },
  "extra.example.com": { a: ["198.51.100.1"], additional: { "extra.example.com": "198.51.100.2" } },
  "wrongid.example.com": { a: ["198.51.100.1"], wrongId: true },
  "wrongname.example.com": { a: ["198.51.100.1"], wrongQuestion: "www.example.com" },
  "loop.example.com": { loop: true },
  "text.example.com": { txt: "hello" },
  "host.corp.example": { a: ["198.51.100.1"] },
  "forbidden.example.net": { a: ["198.51.100.1"] },
  "asked.example.com": { a: ["198.51.100.1"] },
  "deep.example.com": { cname: "link1.example.net" },
  ...Object.fromEntries(
    Array.from({ length: 15 }, (_, i) => [
      `link${i + 1}.example.net`,
      i === 14 ? { a: ["198.51.100.1"] } : { cname: `link${i + 2}.example.net` },
    ]),
  ),
  "backwards.example.com": { raw: backwards("backwards.example.com", "198.51.100.1") },
  "odd.example.com": { cname: "a name of \u00e4ny bytes.example.net" },
  "a name of \u00e4ny bytes.example.net": { a: ["198.51.100.1"] },
  "crowd.example.com": { raw: crowd("crowd.example.com", "198.51.100.4") },
  "fragmented.example.com": {
    a: Array.from({ length: 80 }, (_, i) =>
      i === 0 ? "198.51.100.3" : i === 79 ? "198.51.100.4" : `192.0.2.${i + 1}`,
    ),
  },
  ...Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => [`neighbour${i}.example.org`, { a: ["198.51.100.2"], ttl: 3600 }]),
  ),
  "shared.example.com": { a: ["198.51.100.2"], ttl: 30 },
  "long.example.com": { a: Array.from({ length: 30 }, (_, i) => (i === 29 ? "198.51.100.4" : `192.0.2.${i + 1}`)) },
};

/** An answer that has the address of the alias before the alias, hex. */
function backwards(name: string, address: string): string {
  const alias = wireName("alias.example.net");
  const record = (owner: Buffer, type: number, data: Buffer) =>
    Buffer.concat([owner, Buffer.from([0, type, 0, 1, 0, 0, 1, 44, 0, data.length]), data]);
  return Buffer.concat([
    Buffer.from([0, 0, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]),
    questionSection(name, TYPE.A),
    record(alias, TYPE.A, addressData(address)),
    record(wireName(name), TYPE.CNAME, alias),
  ]).toString("hex");
}

/** An answer of 75 addresses, of which this is the last one, in one datagram: the name is a pointer in each. Hex. */
function crowd(name: string, last: string): string {
  const addresses = Array.from({ length: 75 }, (_, i) => (i === 74 ? last : `192.0.2.${i + 1}`));
  const records = addresses.map((address) =>
    Buffer.concat([Buffer.from([0xc0, 12, 0, TYPE.A, 0, 1, 0, 0, 1, 44, 0, 4]), addressData(address)]),
  );
  const header = Buffer.from([0, 0, 0x81, 0x80, 0, 1, 0, records.length, 0, 0, 0, 0]);
  return Buffer.concat([header, questionSection(name, TYPE.A), ...records]).toString("hex");
}

const RULES: Record<string, EgressRules> = {
  names: { ...RESOLVERS, fqdns: Object.keys(ZONE).filter((name) => name.endsWith("example.com") && name[0] !== "*") },
  wild: { ...RESOLVERS, fqdns: ["*.wild.example.com"] },
  everything: { ...RESOLVERS, fqdns: ["*"] },
  asks: { ...RESOLVERS, l7: { protocols: ["dns", "any"], dns: ["asked.example.com"] }, fqdns: ["www.example.com"] },
  mute: { ...RESOLVERS, l7: { protocols: ["dns", "any"], dns: [] }, fqdns: ["www.example.com"] },
  asksAll: { ...RESOLVERS, l7: { protocols: ["dns", "any"], dns: ["*"] }, fqdns: ["shared.example.com"] },
  open: RESOLVERS,
  searching: { ...RESOLVERS, fqdns: ["host.corp.example", "host"] },
};

/** Executables that may all do what `names` may: what one learns is nothing to the next. */
const TWINS = Array.from({ length: 20 }, (_, number) => `names${number}`);

const fixture = await Fixture.start("names", {
  apps: ["shop", "other"],
  zone: ZONE,
  agentArgs: ["--fqdn-min-ttl", "1s", "--fqdn-grace", "500ms", "--dns-port", "5353"],
  profiles: (fixture) => {
    addSearchDomains(fixture, "shop", ["svc.corp.example", "corp.example"]);
    const rules = { ...RULES, ...Object.fromEntries(TWINS.map((name) => [name, RULES.names ?? {}])) };
    const processes = Object.entries(rules).map(([name, rights]) => egress(fixture.program(name), rights));
    return [profile("shop", processes), profile("other", processes)];
  },
});
const shop = fixture.workload("shop");
const other = fixture.workload("other");
const program = (name: keyof typeof RULES) => fixture.path("bin", name);
const asking = (name: string, type = "A") => `udp4 connect ${DNS} 53 ask ${name} ${type}`;
const sending = (address: string) => `udp4 sendto ${address} 7000 TAG recv`;

/** An executable with the rights of `names` that has learned nothing yet. */
const fresh = () => TWINS.shift() ?? assert.fail("too few twins");

const passes = (name: string, verbs: string) => fixture.passes(shop, program(name), verbs);
const stops = (name: string, verbs: string, reason: "Peer" | "DnsName" | "DnsMalformed" | "Port") =>
  fixture.stops(shop, program(name), verbs, { reason, direction: "egress" });

test("§5 fqdns: an address may be connected to once its name was answered, and not before", async () => {
  await stops("names", sending("198.51.100.1"), "Peer");
  await passes("names", `${asking("www.example.com")} ${sending("198.51.100.1")}`);
});

test("§6 the event of an allowed question says what was asked", async () => {
  const mark = fixture.agent.events.mark();
  await passes("names", asking("www.example.com"));
  const event = await fixture.agent.events.waitFor(
    "the question",
    (candidate): candidate is VerdictEvent => isVerdict(candidate) && candidate.dst.port === 53,
    { from: mark },
  );
  assert.deepEqual([event.verdict, event.dns?.name, event.dns?.type], ["allowed", "www.example.com", "A"]);
});

test("§5 the first packet to a learned address is never lost", async () => {
  for (let round = 0; round < 20; round++) {
    const { stdout } = await passes("everything", `${asking(`n${round}.wild.example.com`)} ${sending("198.51.100.1")}`);
    assert.match(stdout, /NOERROR 198\.51\.100\.1/);
  }
});

test("§5 fqdns: IPv6 addresses are learned from AAAA, over IPv4 and IPv6", async () => {
  await passes("names", `${asking("www.example.com", "AAAA")} udp6 sendto 2001:db8:1::1 7000 TAG recv`);
  await passes(
    "everything",
    `udp6 connect ${DNS6} 53 ask www.example.com AAAA udp6 sendto 2001:db8:1::1 7000 TAG recv`,
  );
});

test("§5 every A and AAAA of an answer counts", async () => {
  await passes("names", `${asking("many.example.com")} ${sending("198.51.100.2")} ${sending("198.51.100.3")}`);
});

test("§5 more than 24 answers: the last one counts too", async () => {
  await passes("names", `edns ${asking("long.example.com")} ${sending("198.51.100.4")}`);
});

test("§5 a learned address is good for nobody else: not for another process", async () => {
  await passes("names", asking("www.example.com"));
  await stops("wild", sending("198.51.100.1"), "Peer");
});

test("§5 a learned address is good for nobody else: not for the same executable in another workload", async () => {
  await passes("names", asking("www.example.com"));
  await fixture.stops(other, program("names"), sending("198.51.100.1"), { reason: "Peer" });
});

test("§5 fqdns: a name that is not listed may not be asked", async () => {
  const event = await stops("names", asking("forbidden.example.net"), "DnsName");
  assert.deepEqual(event.dns, { name: "forbidden.example.net", type: "A" });
  assert.deepEqual(await fixture.servers.asked("forbidden.example.net"), []);
});

test("§5 a name that is not listed may not be asked, whatever the type: TXT and NULL too", async () => {
  for (const type of ["TXT", "NULL", "ANY", "HTTPS", "65280"]) {
    await stops("names", `timeout 120 ${asking("secret.tunnel.example.net", type)}`, "DnsName");
  }
  assert.deepEqual(await fixture.servers.asked("secret.tunnel.example.net"), []);
  await passes("names", asking("text.example.com", "TXT"));
});

test("§5 l7.dns: what may be asked, where it is present; fqdns: what may be connected to", async () => {
  await passes("asks", asking("asked.example.com"));
  await stops("asks", asking("www.example.com"), "DnsName");
  await stops("asks", `${asking("asked.example.com")} ${sending("198.51.100.1")}`, "Peer");
});

test("§5 l7.dns: an empty list means that nothing may be asked", async () => {
  await stops("mute", asking("www.example.com"), "DnsName");
});

test("§5 where neither fqdns nor l7.dns is there, any name may be asked, and opens nothing", async () => {
  await passes("open", asking("forbidden.example.net"));
  await stops("open", `${asking("forbidden.example.net")} ${sending("198.51.100.1")}`, "Peer");
});

test("§5 names: without case, and 0x20 case in questions", async () => {
  await passes("names", `mixedcase ${asking("www.example.com")} ${sending("198.51.100.1")}`);
  await passes("names", asking("WWW.Example.COM"));
});

test("§5 wildcards: one or more labels below, not the suffix itself", async () => {
  await passes("wild", `${asking("a.wild.example.com")} ${sending("198.51.100.1")}`);
  await passes("wild", `${asking("a.b.c.wild.example.com")} ${sending("198.51.100.1")}`);
  await stops("wild", asking("wild.example.com"), "DnsName");
  await stops("wild", asking("notwild.example.com"), "DnsName");
});

test("§5 wildcards: * alone matches every name", async () => {
  await passes("everything", `${asking("forbidden.example.net")} ${sending("198.51.100.1")}`);
});

test("§5 search domains: expansions of a listed name may be asked", async () => {
  await passes("searching", asking("host.svc.corp.example"));
  await passes("searching", asking("host.corp.example.corp.example"));
  await stops("searching", asking("other.corp.example"), "DnsName");
  await fixture.stops(other, program("searching"), asking("host.svc.corp.example"), { reason: "DnsName" });
});

test("§5 search domains: curl finds a host by its short name", async () => {
  const curl = fixture.program("searching", "/usr/bin/curl");
  const { stdout, stderr } = await fixture.run(shop, curl, ["-4", "-sS", "--max-time", "3", "http://host/"], {
    ownResolver: true,
  });
  assert.equal(stdout, "hello\n", stderr);
});

test("§5 CNAME: the addresses at the end of the chain are learned for the name that was asked", async () => {
  const event = fixture.agent.events.mark();
  await passes("names", `${asking("chain.example.com")} ${sending("198.51.100.1")}`);
  const allowed = await fixture.violation({ verdict: "allowed", reason: "Allowed", proto: "udp" }, event, shop);
  assert.ok(allowed !== undefined);
});

test("§5 CNAME: chains of 16 links, in any order, through names of any bytes", async () => {
  for (const name of ["deep", "backwards", "odd"]) {
    await passes(fresh(), `${asking(`${name}.example.com`)} ${sending("198.51.100.1")}`);
  }
});

test("§5 every address of an answer of 75 counts", async () => {
  const last = sending("198.51.100.4");
  await passes(fresh(), `udp4 connect ${DNS} 53 edns ask crowd.example.com A ${last}`);
  await passes(fresh(), `tcp4 connect ${DNS} 53 ask crowd.example.com A ${last}`);
});

test("§5 of an answer in IP fragments, the first one's addresses count, and the rest is counted", async () => {
  const left = async () => {
    const { stdout } = await fixture.agent.command("status", "-o", "json", ...fixture.agent.pinOptions);
    const { errors } = JSON.parse(stdout) as { errors: { name: string; count: number }[] };
    return errors.find(({ name }) => name === "dns_answers_truncated")?.count ?? 0;
  };
  const before = await left();
  const asked = `udp4 connect ${DNS} 53 edns ask fragmented.example.com A`;
  await passes(fresh(), `${asked} ${sending("198.51.100.3")}`);
  await stops(fresh(), `${asked} ${sending("198.51.100.4")}`, "Peer");
  assert.equal(await left(), before + 2);
});

test("§5 names that no rule connects to displace none that some rule does", async () => {
  const neighbours = Array.from({ length: 6 }, (_, i) => `ask neighbour${i}.example.org A`).join(" ");
  await stops("asksAll", sending("198.51.100.2"), "Peer");
  await passes("asksAll", `udp4 connect ${DNS} 53 ask shared.example.com A ${neighbours} ${sending("198.51.100.2")}`);
});

test("§5 only the chain from the question counts: other names in the answer section teach nothing", async () => {
  await stops(fresh(), `${asking("strange.example.com")} ${sending("198.51.100.2")}`, "Peer");
});

test("§5 only the answer section counts: additional records teach nothing", async () => {
  await stops(fresh(), `${asking("extra.example.com")} ${sending("198.51.100.2")}`, "Peer");
});

test("§5 answers are accepted for an outstanding question only: not with another id", async () => {
  const twin = fresh();
  const verbs = `udp4 connect ${DNS} 53 timeout 200 ask wrongid.example.com A`;
  assert.equal((await fixture.run(shop, program(twin), verbs)).code, 3);
  await stops(twin, sending("198.51.100.1"), "Peer");
});

test("§5 answers are accepted for an outstanding question only: not with another name", async () => {
  const twin = fresh();
  await fixture.run(shop, program(twin), `timeout 200 ${asking("wrongname.example.com")}`);
  await stops(twin, sending("198.51.100.1"), "Peer");
});

test("§5 answers are accepted for an outstanding question only: none that nobody asked for", async () => {
  const twin = fresh();
  const holder = fixture.start(
    shop,
    program(twin),
    `udp4 bind ${shop.ipv4} 4444 connect ${DNS} 53 ask www.example.com AAAA wait`,
  );
  await holder.line("waiting");
  const name = "03777777076578616d706c6503636f6d00";
  const message = `000181800001000100000000${name}00010001c00c000100010000012c0004c6336402`;
  await fixture.servers.send({ address: DNS, port: 53 }, { address: shop.ipv4, port: 4444 }, message);
  await stops(twin, sending("198.51.100.2"), "Peer");
  await holder.kill();
});

test("§5 TTL: a learned address expires, and a flow that is open then lives on", async () => {
  const twin = fresh();
  const tag = fixture.tag();
  const talk = `${asking("short.example.com")} udp4 connect 198.51.100.1 7000 send a recv wait send ${tag} recv`;
  const open = fixture.start(shop, program(twin), talk);
  await open.line("waiting");
  await new Promise((resolve) => setTimeout(resolve, 1800));
  await stops(twin, sending("198.51.100.1"), "Peer");
  // What somebody else executes meanwhile has every flow judged again.
  const handsOver = fixture.program("hands-over");
  await fixture.run(shop, handsOver, `udp4 exec ${handsOver} print done`);
  open.tell();
  assert.equal((await open.finish()).code, 0);
});

test("§5 DNS over TCP: judged and learned like UDP", async () => {
  await passes("names", `tcp4 connect ${DNS} 53 ask www.example.com A ${sending("198.51.100.1")}`);
  await stops("names", `tcp4 connect ${DNS} 53 ask forbidden.example.net A`, "DnsName");
  await passes("names", `tcp4 connect ${DNS} 53 ask www.example.com A ask www.example.com AAAA`);
});

test("§5 DNS over TCP: a question may come in several segments, and is judged before its last one leaves", async () => {
  await passes("names", `pieces 7 tcp4 connect ${DNS} 53 ask www.example.com A`);
  await stops("names", `pieces 7 tcp4 connect ${DNS} 53 ask cut.example.net A`, "DnsName");
  assert.deepEqual(await fixture.servers.asked("cut.example.net"), []);
});

test("§5 truncation: the client's TCP retry is a DNS flow too", async () => {
  const twin = fresh();
  const { stdout } = await passes(twin, asking("big.example.com"));
  assert.match(stdout, /NOERROR TC$/m);
  await stops(twin, sending("198.51.100.1"), "Peer");
  await passes(twin, `tcp4 connect ${DNS} 53 ask big.example.com A ${sending("198.51.100.1")}`);
});

test("§5 truncation: dig retries over TCP by itself", async () => {
  const dig = fixture.program(fresh(), "/usr/bin/dig");
  const options = ["+short", "+time=1", "+tries=1", `@${DNS}`];
  assert.equal((await fixture.run(shop, dig, [...options, "big.example.com"])).stdout, "198.51.100.1\n");
  const denied = await fixture.run(shop, dig, [...options, "forbidden.example.net"]);
  assert.notEqual(denied.code, 0);
});

test("§5 EDNS is understood", async () => {
  await passes("names", `edns ${asking("www.example.com")} ${sending("198.51.100.1")}`);
  await stops("names", `edns ${asking("forbidden.example.net")}`, "DnsName");
});

test("§5 several questions in one message are refused", async () => {
  await stops("names", `questions 2 ${asking("www.example.com")}`, "DnsMalformed");
});

test("§5 a compression loop in an answer is a violation", async () => {
  const mark = fixture.agent.events.mark();
  assert.equal((await fixture.run(shop, program("names"), `timeout 200 ${asking("loop.example.com")}`)).code, 3);
  await fixture.violation({ reason: "DnsMalformed", direction: "ingress", path: program("names") }, mark);
});

test("§5 port 53 exempts nothing from layers 1 to 3", async () => {
  const twin = fresh();
  await stops(twin, "udp4 connect 198.51.100.1 53 ask www.example.com A", "Peer");
  await stops(twin, "tcp4 connect 198.51.100.1 53", "Peer");
});

test("§5 a message on port 53 that is not well-formed DNS is a violation", async () => {
  await stops("names", `udp4 sendto ${DNS} 53 TAG recv`, "DnsMalformed");
  const short = await stops("names", `udp4 connect ${DNS} 53 sendhex 00 recv`, "DnsMalformed");
  assert.deepEqual(short.malformed, { fault: "header", offset: 1 }, "what was wrong is in the event");
});

test("§5 other DNS ports are an option of the agent", async () => {
  await stops("names", `udp4 connect ${DNS} 5353 ask www.example.com A`, "Port");
  await fixture.agent.apply(
    profile("shop", [
      egress(program("names"), { ...RESOLVERS, l4: { protocols: ["udp"] }, fqdns: ["www.example.com"] }),
    ]),
  );
  await passes("names", `udp4 connect ${DNS} 5353 ask www.example.com A`);
  await stops("names", `udp4 connect ${DNS} 5353 ask forbidden.example.net A`, "DnsName");
});
