/**
 * Answers that do not fit a frame: a device's answer to a bulk request over SNMP, a long ping. projectcalico/calico#10737,
 * "Calico eBPF 3.30 doesn't reassemble UDP fragmets when UDP reply exceeds ethernet frame size", and #8821, "eBPF data plane fails to forward UDP
 * packet fragments". All fragments but the first are without ports, in both directions.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { isVerdict } from "../e2e/harness/event-stream.ts";
import { Fixture } from "../e2e/harness/fixture.ts";
import { egress, ingress, profile } from "../e2e/harness/profiles.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const PING = "/usr/bin/ping";
const PORT = 9161;
const ADDRESSES = { IPv4: "198.51.100.1", IPv6: "2001:db8:1::1" };
const PEERS = { cidr4: ["198.51.100.0/24", "203.0.113.0/24"], cidr6: ["2001:db8::/32"] };
const udp = { protocolPorts: [{ protocol: "udp" as const, port: PORT }] };

/** Answers a number with so many bytes. */
const SERVER = `
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
server.bind((address, port))
print("listening", flush=True)
while True:
    size, peer = server.recvfrom(100)
    server.sendto(b"x" * int(size), peer)
`;
const CLIENT = `
import socket, sys
address, port, sizes = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
for size in sizes:
    one = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(2)
    one.sendto(size.encode(), (address, port))
    print(len(one.recvfrom(65535)[0]), flush=True)
`;
const SIZES = ["1400", "2400", "8000", "16000", "60000"];

const fixture = await Fixture.start("longanswers", {
  apps: ["manager", "device"],
  profiles: () => [
    profile("manager", [
      egress(PYTHON, { ...PEERS, l4: udp }),
      egress(PING, { ...PEERS, l4: { protocols: ["icmp", "icmpv6"] } }),
    ]),
    profile("device", [ingress(PYTHON, { ...PEERS, l4: udp })]),
  ],
});
const { outside } = fixture.topology;
const manager = fixture.workload("manager");
const device = fixture.workload("device");

const refused = (mark: number) =>
  fixture.agent.events.since(mark, (event) => isVerdict(event) && event.verdict !== "allowed");

for (const [family, address] of Object.entries(ADDRESSES)) {
  const own = family === "IPv4" ? device.ipv4 : device.ipv6;

  test(`${family}: long answers come in`, async () => {
    const mark = fixture.agent.events.mark();
    const server = fixture.start(outside, PYTHON, ["-c", SERVER, address, String(PORT)]);
    await server.line("listening");
    const { stdout, stderr } = await fixture.run(manager, PYTHON, ["-c", CLIENT, address, String(PORT), ...SIZES]);
    assert.deepEqual([stdout.trim().split("\n"), refused(mark)], [SIZES, []], stderr);
    await server.kill();
  });

  test(`${family}: long answers go out`, async () => {
    const mark = fixture.agent.events.mark();
    const server = fixture.start(device, PYTHON, ["-c", SERVER, own, String(PORT)]);
    await server.line("listening");
    const { stdout, stderr } = await fixture.run(outside, PYTHON, ["-c", CLIENT, own, String(PORT), ...SIZES]);
    assert.deepEqual([stdout.trim().split("\n"), refused(mark)], [SIZES, []], stderr);
    await server.kill();
  });

  test(`${family}: long pings are answered`, async () => {
    const mark = fixture.agent.events.mark();
    const { stdout, stderr } = await fixture.run(manager, PING, [
      "-c",
      "3",
      "-i",
      "0.2",
      "-W",
      "1",
      "-s",
      "2400",
      address,
    ]);
    assert.match(stdout, /3 received/, stderr);
    assert.deepEqual(refused(mark), []);
  });

  test(`${family}: the fragments of a program that may not stay in`, async () => {
    const evil = fixture.program("evil");
    const verb = family === "IPv4" ? "udp4" : "udp6";
    await fixture.stops(manager, evil, `${verb} sendto ${address} ${PORT} TAG${"x".repeat(3000)}`, {
      reason: "BinaryUnknown",
    });
  });
}
