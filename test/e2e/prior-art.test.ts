/**
 * The defects of the reference implementation of the paper (Network Security Probe, 2020), each shown not to be one of
 * this product. The numbers are those of the project's list of them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { arp } from "../packets/ethernet.ts";
import { ipv4 } from "../packets/ip.ts";
import { udp } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { ANYTHING, egress, entry, profile } from "./harness/profiles.ts";
import { addSearchDomains } from "./harness/resolver.ts";
import { connectWorkload, macOf, runIn } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const DNS = "198.51.100.53";
const ASKING = { cidr4: [`${DNS}/32`], l4: { protocols: ["udp" as const, "tcp" as const] } };
const MANY_PORTS = Array.from({ length: 1000 }, (_, number) => ({
  protocol: "udp" as const,
  port: 20_000 + number * 2,
}));
const MANY_PEERS = Array.from({ length: 2000 }, (_, number) => `10.${200 + (number >> 8)}.${number & 255}.0/25`);

const fixture = await Fixture.start("prior-art", {
  apps: ["shop", "bank"],
  zone: {
    "four.example.com": { a: ["192.0.2.1", "192.0.2.2", "192.0.2.3", SERVER] },
    "v6.example.com": { aaaa: ["2001:db8:1::1"] },
    "short.example.com": { a: ["198.51.100.2"], ttl: 1 },
    "first.example.com": { a: ["198.51.100.3"] },
    "second.example.com": { a: ["198.51.100.4"] },
    "host.corp.example": { a: [SERVER] },
  },
  agentArgs: ["--fqdn-min-ttl", "1s", "--fqdn-grace", "100ms"],
  profiles: (fixture) => {
    addSearchDomains(fixture, "shop", ["corp.example"]);
    const processes = [
      egress(fixture.program("names"), { ...ASKING, fqdns: ["*.example.com", "host.corp.example"] }),
      egress(fixture.program("dns"), {
        ...ASKING,
        cidr4: [`${DNS}/32`, `${SERVER}/32`],
        l4: {
          protocolPorts: [
            { protocol: "udp", port: 53 },
            { protocol: "udp", port: 7002 },
          ],
        },
        l7: { protocols: ["dns", "any"], dns: ["four.example.com"] },
      }),
      entry(fixture.program("server"), {
        ingress: { cidr4: ["203.0.113.0/24"], l4: { protocolPorts: [{ protocol: "tcp", port: 80 }] } },
      }),
      egress(fixture.program("anything"), ANYTHING),
      egress(fixture.program("web"), { ...ANYTHING, l7: { protocols: ["http"] } }),
      egress(fixture.program("large"), {
        cidr4: [...MANY_PEERS, `${SERVER}/32`],
        l4: { protocolPorts: [...MANY_PORTS, { protocol: "udp", port: 7000 }] },
      }),
    ];
    return [profile("shop", processes, { attacks: ["arp-spoofing", "ip-spoofing"] }), profile("bank", processes)];
  },
});
const shop = fixture.workload("shop");
const bank = fixture.workload("bank");
const { outside, node } = fixture.topology;
const program = (name: string) => fixture.path("bin", name);
const stranger = fixture.program("stranger");
const toHex = (packet: number[]) => Buffer.from(packet).toString("hex");

test("NSP 1: what cannot be parsed does not pass", async () => {
  const packet = ipv4({ from: shop.ipv4, to: SERVER }, udp({ from: 5000, to: 7000, length: 4 }, "x"));
  await fixture.stops(shop, program("anything"), `packet ${toHex(packet)}`, { reason: "Malformed", path: null });
});

test("NSP 1: a process without a profile entry does not pass", async () => {
  await fixture.stops(shop, stranger, `udp4 sendto ${SERVER} 7000 TAG recv`, { reason: "BinaryUnknown" });
});

test("NSP 2: port 53 is no way around layers 3 and 4", async () => {
  await fixture.stops(shop, program("dns"), "tcp4 connect 198.51.100.2 53", { reason: "Peer" });
  await fixture.stops(shop, program("dns"), `tcp4 connect ${SERVER} 53`, { reason: "Port" });
  await fixture.stops(shop, stranger, `udp4 sendto ${DNS} 53 TAG recv`, { reason: "BinaryUnknown" });
});

test("NSP 2: a malformed question, and one for another type than A, is judged too", async () => {
  await fixture.stops(shop, program("dns"), `udp4 sendto ${DNS} 53 TAG recv`, { reason: "DnsMalformed" });
  for (const type of ["TXT", "NULL"]) {
    await fixture.stops(shop, program("dns"), `udp4 connect ${DNS} 53 ask c2.tunnel.example.net ${type}`, {
      reason: "DnsName",
    });
  }
});

test("NSP 3: EDNS is read, and all of four records are learned", async () => {
  const use = `edns udp4 connect ${DNS} 53 ask four.example.com A udp4 sendto ${SERVER} 7000 TAG recv`;
  await fixture.passes(shop, program("names"), use);
});

test("NSP 3: TTLs count, learned addresses expire", async () => {
  const ask = `udp4 connect ${DNS} 53 ask short.example.com A`;
  await fixture.passes(shop, program("names"), `${ask} udp4 sendto 198.51.100.2 7000 TAG recv sleep 1200`);
  await fixture.stops(shop, program("names"), "udp4 sendto 198.51.100.2 7000 TAG recv", { reason: "Peer" });
});

test("NSP 3: AAAA over IPv4 is an IPv6 address", async () => {
  const ask = `udp4 connect ${DNS} 53 ask v6.example.com AAAA`;
  await fixture.passes(shop, program("names"), `${ask} udp6 sendto 2001:db8:1::1 7000 TAG recv`);
});

test("NSP 3: transaction ids are not shared between workloads", async () => {
  const ask = (name: string) => `id 7 udp4 bind 0.0.0.0 5555 connect ${DNS} 53 ask ${name} A`;
  const first = fixture.run(shop, program("names"), ask("first.example.com"));
  await Promise.all([first, fixture.run(bank, program("names"), ask("second.example.com"))]);
  await fixture.passes(shop, program("names"), "udp4 sendto 198.51.100.3 7000 TAG recv");
  await fixture.stops(shop, program("names"), "udp4 sendto 198.51.100.4 7000 TAG recv", { reason: "Peer" });
  await fixture.stops(bank, program("names"), "udp4 sendto 198.51.100.3 7000 TAG recv", { reason: "Peer" });
});

test("NSP 4: wildcards, letter case, and search domains without listing them", async () => {
  const asking = (name: string) => `udp4 connect ${DNS} 53 ask ${name} A`;
  await fixture.passes(shop, program("names"), asking("Four.EXAMPLE.com"));
  await fixture.passes(shop, program("names"), asking("host.corp.example.corp.example"));
  await fixture.stops(shop, program("names"), asking("example.net"), { reason: "DnsName" });
});

test("NSP 5: an IPv6 packet has its own source and destination", async () => {
  const mark = fixture.agent.events.mark();
  await fixture.passes(shop, program("anything"), "udp6 sendto 2001:db8:1::2 7000 TAG recv");
  const event = await fixture.violation({ verdict: "allowed", reason: "Allowed", path: program("anything") }, mark);
  assert.deepEqual([event.src.ip, event.dst], [shop.ipv6, { ip: "2001:db8:1::2", port: 7000 }]);
});

test("NSP 5: IP options and fragments are handled", async () => {
  await fixture.passes(shop, program("anything"), `udp4 connect ${SERVER} 7000 sendsize 4000 TAG recv`);
  const packet = ipv4({ from: shop.ipv4, to: SERVER, options: [1, 1, 1, 1] }, udp({ from: 5000, to: 7000 }, "x"));
  await fixture.stops(shop, stranger, `packet ${toHex(packet)}`, { reason: "BinaryUnknown" });
});

test("NSP 6: the port of ingress is the one that is listened on, and replies need no rule", async () => {
  const web = fixture.start(shop, program("server"), "tcp4 bind 0.0.0.0 80 listen echo");
  const other = fixture.start(shop, program("server"), "tcp4 bind 0.0.0.0 81 listen echo");
  await Promise.all([web.line("listening"), other.line("listening")]);
  const visit = (port: number) =>
    fixture.run(
      outside,
      stranger,
      `timeout ${patiently(250)} tcp4 bind 0.0.0.0 0 connect ${shop.ipv4} ${port} send x recv`,
    );
  assert.equal((await visit(80)).code, 0);
  assert.equal((await visit(81)).code, 3);
  await Promise.all([web.kill(), other.kill()]);
});

test("NSP 7: TCP and UDP on one port are two flows", async () => {
  const ports = "bind 0.0.0.0 6000";
  const open = fixture.start(shop, program("dns"), `udp4 ${ports} connect ${SERVER} 7002 send x recv wait`);
  await open.line("waiting");
  await fixture.stops(shop, program("dns"), `tcp4 ${ports} connect ${SERVER} 7002 send TAG`, { reason: "Port" });
  await open.kill();
});

test("NSP 7: a bind that failed gives no rights, and takes none away", async () => {
  const owner = fixture.start(
    shop,
    program("anything"),
    `udp4 bind 0.0.0.0 6001 sendto ${SERVER} 7000 x recv wait send x sendto ${SERVER} 7000 x recv`,
  );
  await owner.line("waiting");
  assert.equal((await fixture.run(shop, stranger, "udp4 bind 0.0.0.0 6001")).code, 1, "the port is in use");
  await fixture.stops(shop, stranger, `forge ${shop.ipv4} 6001 ${SERVER} 7000 TAG`, { reason: "BinaryUnknown" });
  await owner.kill();
});

test("NSP 7: a process that has ended leaves no rights behind", async () => {
  const verbs = `udp4 bind 0.0.0.0 6002 sendto ${SERVER} 7000 TAG recv`;
  await fixture.passes(shop, program("anything"), verbs);
  await fixture.stops(shop, stranger, verbs, { reason: "BinaryUnknown" });
});

test("NSP 7: rules are never evicted, however many there are", async () => {
  await fixture.passes(shop, program("large"), `udp4 sendto ${SERVER} 7000 TAG recv`);
  await fixture.stops(shop, program("large"), `udp4 sendto ${SERVER} 20001 TAG recv`, { reason: "Port" });
  await fixture.stops(shop, program("large"), "udp4 sendto 198.51.100.2 7000 TAG recv", { reason: "Peer" });
});

test("NSP 7: interfaces that come and go do not fill anything", async () => {
  for (let round = 0; round < 25; round++) {
    runIn(node.name, "ip", "link", "delete", bank.hostInterface);
    connectWorkload(fixture.topology, bank);
  }
  const wanted = (event: { type: string }) =>
    event.type === "workload" && "state" in event && event.state === "enforced";
  await fixture.agent.events.waitFor("bank again", wanted);
  const guarded = async () =>
    (await fixture.run(bank, stranger, `timeout 150 udp4 sendto ${SERVER} 7000 x recv`)).code === 3;
  let tries = 0;
  while (!(await guarded())) assert.ok(++tries < 20, "the last one is guarded");
  await fixture.passes(bank, program("anything"), `udp4 sendto ${SERVER} 7000 TAG recv`);
});

test("NSP 8: a fork from a thread that is not the leader keeps its identity", async () => {
  await fixture.passes(shop, program("anything"), `thread fork udp4 sendto ${SERVER} 7000 TAG recv`);
  await fixture.passes(shop, program("anything"), `leaderexits fork udp4 sendto ${SERVER} 7000 TAG recv`);
  await fixture.stops(shop, stranger, `thread fork udp4 sendto ${SERVER} 7000 TAG recv`, { reason: "BinaryUnknown" });
});

test("NSP 8: the path is the file, not the string typed at exec", async () => {
  const command = (path: string) => [
    "-c",
    `cd ${fixture.path("bin")}/../bin && ./${path} timeout 250 udp4 sendto ${SERVER} 7000 x recv`,
  ];
  assert.equal((await fixture.run(shop, "/bin/sh", command("anything"))).code, 0);
  assert.equal((await fixture.run(shop, "/bin/sh", command("stranger"))).code, 3);
});

test("NSP 9: processes and interfaces that were there first are bound", async () => {
  await fixture.agent.crash();
  await fixture.agent.command("detach", "--all", ...fixture.agent.pinOptions);
  const listed = fixture.start(shop, program("anything"), `udp4 wait sendto ${SERVER} 7000 x recv`);
  const other = fixture.start(shop, stranger, `timeout 250 udp4 wait sendto ${SERVER} 7000 x recv`);
  await Promise.all([listed.line("waiting"), other.line("waiting")]);
  await fixture.agent.start();
  for (const running of [listed, other]) running.tell();
  assert.equal((await listed.finish()).code, 0);
  assert.equal((await other.finish()).code, 3);
});

test("NSP 9: a signal unbinds nothing", async () => {
  const running = fixture.start(shop, stranger, `timeout 250 udp4 wait sendto ${SERVER} 7000 x recv`);
  await running.line("waiting");
  for (const signal of ["SIGWINCH", "SIGCONT", "SIGURG"] as const) process.kill(running.pid, signal);
  running.tell();
  assert.equal((await running.finish()).code, 3);
});

test("NSP 10: ARP is judged, and attacks that are listed are looked for", async () => {
  const mark = fixture.agent.events.mark();
  const mac = macOf(shop, "eth0");
  const bytes = arp({ operation: 2, sender: shop.gateway4, senderMac: mac, target: shop.ipv4 }, { source: mac });
  await fixture.run(shop, program("anything"), `frame eth0 ${bytes.toString("hex")}`);
  await fixture.violation({ reason: "ArpSpoofing", proto: "arp" }, mark);
});

test("NSP 10: rules of layer 7 are enforced", async () => {
  const get = Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n").toString("hex");
  await fixture.passes(shop, program("web"), `tcp4 connect ${SERVER} 80 sendhex ${get} recv`);
  await fixture.stops(shop, program("web"), `tcp4 connect ${SERVER} 80 send TAG recv`, { reason: "Application" });
});

test("NSP 10: labelSelector is read", async () => {
  const { metadata, ...rest } = profile("elsewhere", [egress(stranger, ANYTHING)]);
  await fixture.agent.apply({
    ...rest,
    metadata,
    spec: { ...rest.spec, labelSelector: { matchLabels: { app: "shop" } } },
  });
  await fixture.passes(shop, stranger, `udp4 sendto ${SERVER} 7000 TAG recv`);
  await fixture.stops(shop, program("anything"), `udp4 sendto ${SERVER} 7000 TAG recv`, { reason: "BinaryUnknown" });
});

test("NSP 11: a hook that this kernel does not have is reported, and keeps nothing from starting", async () => {
  const { code, stdout } = await fixture.agent.command("doctor", "-o", "json");
  const { features } = JSON.parse(stdout) as {
    features: { feature: string; required: boolean; available: boolean; consequence: string }[];
  };
  assert.equal(code, 0);
  const optional = features.filter(({ required }) => !required);
  assert.ok(optional.length > 0);
  for (const { feature, available, consequence } of optional) assert.ok(available || consequence !== "", feature);
});
