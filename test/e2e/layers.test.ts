/** Section 4: a packet passes if every layer allows it, and the first that does not gives the reason. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { question } from "../packets/dns.ts";
import { fragments, ipv4, ipv6, optionsHeader, quoted } from "../packets/ip.ts";
import { CLIENT_HELLO } from "../packets/payloads.ts";
import { icmp, PROTOCOL, tcp, udp } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { ANYTHING, egress, profile } from "./harness/profiles.ts";
import { runIn } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
const TO_SERVER = { cidr4: [`${SERVER}/32`], cidr6: [`${SERVER6}/128`] };

/** Executables by what they may do. */
const RULES: Record<string, EgressRules> = {
  anything: ANYTHING,
  ipv4only: { cidr4: ["0.0.0.0/0"], l3: { protocols: ["ipv4"] }, l4: { protocols: ["any"] } },
  implied4: { cidr4: ["198.51.100.0/30", "203.0.113.0/24"], l4: { protocols: ["any"] } },
  implied6: { cidr6: ["2001:db8:1::/127"], l4: { protocols: ["any"] } },
  nopeer: { l4: { protocols: ["any"] } },
  noport: TO_SERVER,
  tcponly: { ...TO_SERVER, l4: { protocols: ["tcp"] } },
  ports: {
    ...TO_SERVER,
    l4: {
      protocols: ["icmp"],
      protocolPorts: [
        { protocol: "tcp", port: 7001, endPort: 7003 },
        { protocol: "udp", port: 7002 },
      ],
    },
  },
  numbered: { ...TO_SERVER, l4: { protocols: [47] } },
  http: { ...ANYTHING, l7: { protocols: ["http"] } },
  tls: { ...ANYTHING, l7: { protocols: ["tls"] } },
  dns: { ...ANYTHING, l7: { protocols: ["dns"] } },
  anyapp: { ...ANYTHING, l7: { protocols: ["any"] } },
};

const fixture = await Fixture.start("layers", {
  apps: ["shop"],
  profiles: (fixture) => [
    profile(
      "shop",
      Object.entries(RULES).map(([name, rules]) => egress(fixture.program(name), rules)),
    ),
  ],
});
const shop = fixture.workload("shop");
const { outside } = fixture.topology;
const program = (name: keyof typeof RULES) => fixture.path("bin", name);
const stranger = fixture.program("stranger");
const hex = (text: string) => Buffer.from(text).toString("hex");

const passes = (name: string, verbs: string) => fixture.passes(shop, program(name), verbs);
const stops = (name: string, verbs: string, reason: Parameters<typeof fixture.stops>[3]["reason"]) =>
  fixture.stops(shop, program(name), verbs, { reason, direction: "egress" });

test("§4.1 l3.protocols: an EtherType that is not listed is stopped", async () => {
  await passes("ipv4only", `udp4 sendto ${SERVER} 7000 TAG recv`);
  await stops("ipv4only", `udp6 sendto ${SERVER6} 7000 TAG recv`, "Ethertype");
});

test("§4.1 without l3 the families are those that the destinations imply", async () => {
  await passes("implied4", `udp4 sendto ${SERVER} 7000 TAG recv`);
  await stops("implied4", `udp6 sendto ${SERVER6} 7000 TAG recv`, "Ethertype");
  await passes("implied6", `udp6 sendto ${SERVER6} 7000 TAG recv`);
  await stops("implied6", `udp4 sendto ${SERVER} 7000 TAG recv`, "Ethertype");
});

test("§4.2 peer: an address in a listed prefix passes, its neighbour does not", async () => {
  await passes("implied4", "udp4 sendto 198.51.100.3 7000 TAG recv");
  await stops("implied4", "udp4 sendto 198.51.100.4 7000 TAG recv", "Peer");
  await passes("implied6", "udp6 sendto 2001:db8:1::1 7000 TAG recv");
  await stops("implied6", "udp6 sendto 2001:db8:1::2 7000 TAG recv", "Peer");
});

test("§4.2 peer: none listed, no peer is allowed", async () => {
  await stops("nopeer", `udp4 sendto ${SERVER} 7000 TAG recv`, "Peer");
});

test("§4.3 l4.protocols: listed for every port, others stopped", async () => {
  await passes("tcponly", `tcp4 connect ${SERVER} 7004 send TAG recv`);
  await stops("tcponly", `udp4 sendto ${SERVER} 7004 TAG recv`, "Port");
  await stops("tcponly", `icmp4 ping ${SERVER}`, "Port");
  await passes("ports", `icmp4 ping ${SERVER}`);
});

test("§4.3 l4.protocolPorts: both ends of a range pass, what lies beside it does not", async () => {
  await passes("ports", `tcp4 connect ${SERVER} 7001 send TAG recv`);
  await passes("ports", `tcp6 connect ${SERVER6} 7003 send TAG recv`);
  await stops("ports", `tcp4 connect ${SERVER} 7000 send TAG`, "Port");
  await stops("ports", `tcp4 connect ${SERVER} 7004 send TAG`, "Port");
});

test("§4.3 l4.protocolPorts: a port of UDP is none of TCP", async () => {
  await passes("ports", `udp4 sendto ${SERVER} 7002 TAG recv`);
  await stops("ports", `udp4 sendto ${SERVER} 7001 TAG recv`, "Port");
});

test("§4.3 egress: the port is the remote one", async () => {
  await stops("ports", `udp4 bind 0.0.0.0 7002 sendto ${SERVER} 7001 TAG recv`, "Port");
  await passes("ports", `udp4 bind 0.0.0.0 7001 sendto ${SERVER} 7002 TAG recv`);
});

test("§4.3 l4.protocols: a protocol by its number", async () => {
  const mark = fixture.agent.events.mark();
  await fixture.run(shop, program("numbered"), `raw4 47 sendto ${SERVER} 0 x`);
  const event = await fixture.violation({ verdict: "allowed", reason: "Allowed", path: program("numbered") }, mark);
  assert.equal(event.proto, "47");
  await stops("noport", `raw4 47 sendto ${SERVER} 0 x`, "Port");
});

test("§4.3 none listed: nothing is allowed", async () => {
  await stops("noport", `tcp4 connect ${SERVER} 7000 send TAG`, "Port");
});

const GET = hex("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
const HELLO = Buffer.from(CLIENT_HELLO).toString("hex");
const QUESTION = Buffer.from(question("www.example.com")).toString("hex");

test("§4.4 l7: recognised by its bytes, not by its port", async () => {
  await passes("http", `tcp4 connect ${SERVER} 7000 sendhex ${GET} recv`);
  await passes("tls", `tcp4 connect ${SERVER} 7001 sendhex ${HELLO} recv`);
  await passes("dns", `udp4 connect ${SERVER} 7002 sendhex ${QUESTION} recv`);
});

test("§4.4 l7: a payload of another application is stopped, on whatever port", async () => {
  await stops("http", `tcp4 connect ${SERVER} 80 send SSH-2.0-TAG recv`, "Application");
  await stops("http", `tcp4 connect ${SERVER} 443 sendhex ${HELLO} recv`, "Application");
  await stops("tls", `tcp4 connect ${SERVER} 443 sendhex ${GET} recv`, "Application");
  await stops("dns", `udp4 connect ${SERVER} 7002 send TAG recv`, "Application");
});

test("§4.4 l7: what begins as nothing known is a violation from that packet on", async () => {
  await stops("http", `tcp4 connect ${SERVER} 7000 send TAG sleep 20 sendhex ${GET} recv`, "Application");
});

test("§4.4 l7: a server that speaks first is judged by what it says", async () => {
  const mark = fixture.agent.events.mark();
  const { code } = await fixture.run(shop, program("http"), `timeout 250 tcp4 connect ${SERVER} 25 recv`);
  assert.equal(code, 3);
  await fixture.violation({ reason: "Application", direction: "ingress", path: program("http") }, mark);
});

test("§4.4 l7: `any`, or none, lets every payload pass", async () => {
  await passes("anyapp", `tcp4 connect ${SERVER} 25 recv send TAG recv`);
  await passes("anything", `tcp4 connect ${SERVER} 25 recv send TAG recv`);
});

test("§4.4 real programs: curl speaks HTTP, and is recognised by its own path", async () => {
  const page = ["-s", "--max-time", "2", `http://${SERVER}/`];
  const mark = fixture.agent.events.mark();
  const curl = fixture.program("http", "/usr/bin/curl");
  assert.equal((await fixture.run(shop, curl, page)).stdout, "hello\n");
  await fixture.violation({ verdict: "allowed", reason: "Allowed", path: curl }, mark);
  assert.equal(
    (await fixture.run(shop, fixture.program("curl", "/usr/bin/curl"), [...page, "--max-time", "0.3"])).code,
    28,
  );
});

test("§4 real programs: nc, of whichever kind, is recognised by its own path", async () => {
  const nc = fixture.program("ports", "/usr/bin/nc");
  const talk = (port: number) => ["-c", `echo hello | ${nc} -N -w 1 ${SERVER} ${port}`];
  assert.equal((await fixture.run(shop, "/bin/sh", talk(7001))).stdout, "hello\n");
  const mark = fixture.agent.events.mark();
  assert.notEqual((await fixture.run(shop, "/bin/sh", talk(7004))).code, 0);
  await fixture.violation({ reason: "Port", path: nc }, mark);
  fixture.program("ports");
});

test("§4 DNS is always parsed: what is no DNS does not pass on port 53", async () => {
  await stops("anything", `udp4 sendto ${SERVER} 53 TAG recv`, "DnsMalformed");
  await stops("anything", `tcp4 connect ${SERVER} 53 send TAG recv`, "DnsMalformed");
});

test("§4 stateful: replies need no rule of their own", async () => {
  await passes("tcponly", `tcp4 connect ${SERVER} 80 sendhex ${GET} recv`);
  await passes("ports", `udp4 sendto ${SERVER} 7002 TAG recv`);
});

test("§4 stateful: a reset is an answer", async () => {
  const { code } = await fixture.run(shop, program("tcponly"), `tcp4 connect ${SERVER} 9`);
  assert.equal(code, 4, "connection refused");
});

test("§4 stateful: an ICMP error about an allowed flow passes", async () => {
  const { code, stderr } = await fixture.run(shop, program("anything"), `udp4 connect ${SERVER} 9 send x error`);
  assert.match(stderr, /refused/);
  assert.equal(code, 4);
  const over6 = await fixture.run(shop, program("anything"), `udp6 connect ${SERVER6} 9 send x error`);
  assert.equal(over6.code, 4);
});

test("§4 stateful: an ICMP error about no flow is stopped", async () => {
  const about = ipv4({ from: shop.ipv4, to: SERVER }, udp({ from: 1234, to: 7000 }, "x"));
  const error = ipv4({ from: SERVER, to: shop.ipv4 }, icmp({ type: 3, code: 3 }, quoted(about)));
  const mark = fixture.agent.events.mark();
  await fixture.run(outside, stranger, `packet ${Buffer.from(error).toString("hex")}`);
  await fixture.violation({ reason: "Unattributed", direction: "ingress", proto: "icmp" }, mark);
});

test("§4 stateful: nobody is let in who was not asked", async () => {
  const holder = fixture.start(
    shop,
    program("anything"),
    `udp4 bind ${shop.ipv4} 4444 sendto ${SERVER} 7000 x recv wait`,
  );
  await holder.line("waiting");
  const mark = fixture.agent.events.mark();
  await fixture.run(outside, stranger, `udp4 bind 198.51.100.2 7000 close`);
  await fixture.servers.send(
    { address: "203.0.113.2", port: 7000 },
    { address: shop.ipv4, port: 4444 },
    hex("intruder"),
  );
  await fixture.violation({ reason: "Peer", direction: "ingress", path: program("anything") }, mark);
  await holder.kill();
});

test("§5 IP fragments: a datagram in fragments is judged as a whole, both ways", async () => {
  await passes("anything", `udp4 connect ${SERVER} 7000 sendsize 3000 TAG recv`);
  await passes("anything", `udp6 connect ${SERVER6} 7000 sendsize 3000 TAG recv`);
  await stops("ports", `udp4 connect ${SERVER} 7000 sendsize 3000 TAG recv`, "Port");
  await stops("ports", `udp6 connect ${SERVER6} 7000 sendsize 3000 TAG recv`, "Port");
});

const toHex = (packet: number[]) => Buffer.from(packet).toString("hex");
const ends = { from: shop.ipv4, to: SERVER };
const ends6 = { from: shop.ipv6, to: SERVER6 };

test("§5 IP fragments: one whose first was not seen is stopped", async () => {
  const [, second] = fragments(ends, udp({ from: 5000, to: 7000 }, "x".repeat(64)), [32]);
  const event = await fixture.stops(shop, program("anything"), `packet ${toHex(second ?? [])}`, {
    reason: "Fragment",
    path: null,
  });
  assert.equal(event.proto, "udp");
  assert.equal(event.application, undefined);
  const [, second6] = fragments(ends6, udp({ from: 5000, to: 7000 }, "x".repeat(64)), [32]);
  await fixture.stops(shop, program("anything"), `packet ${toHex(second6 ?? [])}`, { reason: "Fragment", path: null });
});

test("§5 IP fragments: a first one that hides its ports is stopped", async () => {
  const [tiny = []] = fragments(ends, tcp({ from: 5000, to: 7000, flags: "S" }, "x".repeat(64)), [8]);
  await fixture.stops(shop, program("anything"), `packet ${toHex(tiny)}`, { reason: "Fragment", path: null });
});

test("§4 IPv4 options are read over", async () => {
  const tag = fixture.tag();
  const packet = ipv4({ ...ends, options: [1, 1, 1, 1] }, udp({ from: 5001, to: 7002 }, tag));
  await fixture.run(shop, program("numbered"), `packet ${toHex(packet)}`);
  await fixture.run(shop, program("anything"), `packet ${toHex(packet)}`);
  await fixture.run(shop, program("anything"), `udp4 sendto ${SERVER} 7000 ${tag}end recv`);
  assert.equal((await fixture.servers.received(tag)).filter(({ port }) => port === 7002).length, 1);
});

test("§4 IPv6 extension headers are read over", async () => {
  const tag = fixture.tag();
  const extensions = [optionsHeader(PROTOCOL.destinationOptions)];
  const packet = ipv6({ ...ends6, extensions }, udp({ from: 5002, to: 7002 }, tag));
  await fixture.run(shop, program("numbered"), `packet ${toHex(packet)}`);
  await fixture.run(shop, program("anything"), `packet ${toHex(packet)}`);
  await fixture.run(shop, program("anything"), `udp4 sendto ${SERVER} 7000 ${tag}end recv`);
  assert.equal((await fixture.servers.received(tag)).filter(({ port }) => port === 7002).length, 1);
});

test("§4 a packet that is not well-formed is stopped", async () => {
  const packet = ipv4(ends, udp({ from: 5003, to: 7000, length: 200 }, "x"));
  await fixture.stops(shop, program("anything"), `packet ${toHex(packet)}`, { reason: "Malformed", path: null });
});

test("§3 default absent: neighbour discovery for the workload's own addresses goes on, for the listed to work", async () => {
  for (const family of ["-4", "-6"]) runIn(shop.name, "ip", family, "neigh", "flush", "all");
  await passes("anything", `udp4 sendto ${SERVER} 7000 TAG recv`);
  await passes("anything", `udp6 sendto ${SERVER6} 7000 TAG recv`);
});

test("§3 default absent: nobody else can do anything", async () => {
  const expected = { reason: "BinaryUnknown" } as const;
  await fixture.stops(shop, stranger, `icmp4 ping ${shop.gateway4}`, expected);
  await fixture.stops(shop, stranger, `udp4 sendto ${shop.gateway4} 9 TAG`, expected);
});
