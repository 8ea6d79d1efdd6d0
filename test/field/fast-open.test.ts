/**
 * TCP Fast Open (RFC 7413): the SYN carries the first bytes of the conversation. Others document that they do not go
 * together with it (cilium/cilium#29028). What layer 7 allows has to pass in a SYN as elsewhere, and nothing else may: a SYN that is
 * judged without its bytes would be a way around layer 7.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { Fixture } from "../e2e/harness/fixture.ts";
import { patiently } from "../e2e/harness/patience.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";
import { runIn } from "../e2e/harness/topology.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const ADDRESS = "198.51.100.1";
const PORT = 9300;

const fixture = await Fixture.start("fastopen", {
  apps: ["app"],
  profiles: () => [
    profile("app", [
      entry(PYTHON, {
        egress: {
          cidr4: ["198.51.100.0/24"],
          l4: { protocolPorts: [{ protocol: "tcp", port: PORT }] },
          l7: { protocols: ["http"] },
        },
      }),
    ]),
  ],
});
const app = fixture.workload("app");
const { outside } = fixture.topology;
// 1: clients, 2: servers, 4 and 0x200: without a cookie, 0x400: every listener (Documentation/networking/ip-sysctl.rst).
for (const place of [app, outside]) runIn(place.name, "sysctl", "-qw", `net.ipv4.tcp_fastopen=${0x607}`);

const RECEIVER = `
import socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((sys.argv[1], int(sys.argv[2])))
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
server.listen()
print("listening", flush=True)
server.settimeout(float(sys.argv[3]))
try:
    peer, _ = server.accept()
    print("got " + peer.recv(100).decode(), flush=True)
    peer.send(b"answer")
except TimeoutError:
    print("got nothing", flush=True)
`;
/** MSG_FASTOPEN 0x20000000. TCPI_OPT_SYN_DATA 32 in tcpi_options, byte 5 of struct tcp_info, says that the SYN's data was taken. */
const SENDER = `
import socket, sys
client = socket.socket()
client.settimeout(float(sys.argv[4]))
client.sendto(sys.argv[3].encode(), 0x20000000, (sys.argv[1], int(sys.argv[2])))
client.recv(100)
print("in the SYN" if client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[5] & 32 else "later")
`;

async function exchange(text: string) {
  const receiver = fixture.start(outside, PYTHON, [
    "-c",
    RECEIVER,
    ADDRESS,
    String(PORT),
    String(patiently(2000) / 1000),
  ]);
  await receiver.line("listening");
  const sent = await fixture.run(app, PYTHON, [
    "-c",
    SENDER,
    ADDRESS,
    String(PORT),
    text,
    String(patiently(1000) / 1000),
  ]);
  return { sent, received: (await receiver.finish()).stdout };
}

test("a request in a SYN passes where its application is allowed", async () => {
  const { sent, received } = await exchange("GET / HTTP/1.1");
  assert.equal(sent.stdout.trim(), "in the SYN", sent.stderr);
  assert.match(received, /got GET/);
});

test("other bytes in a SYN do not arrive", async () => {
  const mark = fixture.agent.events.mark();
  const { sent, received } = await exchange("SSH-2.0-attacker");
  assert.notEqual(sent.code, 0);
  assert.match(received, /got nothing/);
  await fixture.violation({ reason: "Application", direction: "egress", proto: "tcp", path: PYTHON }, mark);
});
