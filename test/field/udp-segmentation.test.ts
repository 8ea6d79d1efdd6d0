/**
 * UDP with segmentation offload (UDP_SEGMENT), as QUIC's implementations send: one call hands the kernel many datagrams, which
 * cross the veth as one packet, and the path in between has to take it (quic-go/quic-go#3911, cloudflare/quiche#2552).
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { Fixture } from "../e2e/harness/fixture.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const PORT = 9200;
const DATAGRAMS = 40;
const SIZE = 1200;

const fixture = await Fixture.start("udpgso", {
  apps: ["app"],
  profiles: () => [
    profile("app", [
      entry(PYTHON, {
        egress: {
          cidr4: ["198.51.100.0/24"],
          cidr6: ["2001:db8::/32"],
          l4: { protocolPorts: [{ protocol: "udp", port: PORT }] },
        },
      }),
    ]),
  ],
});
const app = fixture.workload("app");
const { outside } = fixture.topology;

/** Answers the last datagram with the number of those that came. */
const RECEIVER = `
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
server.bind((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
server.settimeout(10)
whole = 0
for _ in range(int(sys.argv[3])):
    data, peer = server.recvfrom(65536)
    whole += len(data) == int(sys.argv[4])
server.sendto(str(whole).encode(), peer)
`;
/** UDP_SEGMENT is 103, of level SOL_UDP 17 (linux/udp.h). */
const SENDER = `
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(5)
client.connect((sys.argv[1], int(sys.argv[2])))
client.setsockopt(17, 103, int(sys.argv[4]))
client.send(b"x" * (int(sys.argv[3]) * int(sys.argv[4])))
print(client.recv(100).decode())
`;

for (const address of ["198.51.100.1", "2001:db8:1::1"]) {
  test(`${DATAGRAMS} datagrams in one call to ${address} arrive, and their answer`, async () => {
    const numbers = [PORT, DATAGRAMS, SIZE].map(String);
    const receiver = fixture.start(outside, PYTHON, ["-c", RECEIVER, address, ...numbers]);
    await receiver.line("listening");
    const { stdout, stderr } = await fixture.run(app, PYTHON, ["-c", SENDER, address, ...numbers]);
    assert.equal(stdout.trim(), String(DATAGRAMS), stderr);
  });
}
