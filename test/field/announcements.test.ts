/**
 * Programs that announce themselves on the link, by broadcast and multicast, from sockets without a peer. evilsocket/opensnitch#813,
 * "[Feature Request] Allow Minecraft broadcast announcements through": such packets were found to be no process's, and dropped.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { Fixture } from "../e2e/harness/fixture.ts";
import { entry, profile } from "../e2e/harness/profiles.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const PORT = 4445;
const GROUP = "224.0.2.60";
const GROUP6 = "ff02::2:60";
const LINK = "10.88.0.255";
const EVERYBODY = "255.255.255.255";

/** Hears the group and broadcasts on the host's side, and prints what it hears. */
const LISTENER = `
import socket, struct, sys
group, group6, port, interface = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
index = socket.if_nametoindex(interface)
four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
four.bind(("0.0.0.0", port))
four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", socket.inet_aton(group), b"\\0" * 4, index))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
six.bind(("::", port))
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group6) + struct.pack("=i", index))
print("listening", flush=True)
import select
while True:
    for ready in select.select([four, six], [], [])[0]:
        print(ready.recv(100).decode(), flush=True)
`;
const ANNOUNCER = `
import socket, sys
address, port, text = sys.argv[1], int(sys.argv[2]), sys.argv[3]
six = ":" in address
one = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
if six:
    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
else:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for turn in range(2):
    one.sendto(text.encode(), (address, port))
`;

const fixture = await Fixture.start("announce", {
  apps: ["game"],
  profiles: () => [
    profile("game", [
      entry(PYTHON, {
        egress: {
          cidr4: [`${GROUP}/32`, `${LINK}/32`, `${EVERYBODY}/32`],
          cidr6: [`${GROUP6}/128`],
          l4: { protocolPorts: [{ protocol: "udp", port: PORT, endPort: PORT + 1 }] },
        },
        ingress: { cidr4: ["10.88.0.1/32"], l4: { protocolPorts: [{ protocol: "udp", port: 4447 }] } },
      }),
    ]),
  ],
});
const game = fixture.workload("game");
const evil = fixture.program("evil");
const listener = fixture.start(fixture.topology.node, PYTHON, [
  "-c",
  LISTENER,
  GROUP,
  GROUP6,
  String(PORT),
  game.hostInterface,
]);
await listener.line("listening");

for (const address of [GROUP, GROUP6, LINK, EVERYBODY]) {
  test(`an announcement to ${address} is heard, and its sender's`, async () => {
    const tag = fixture.tag();
    const mark = fixture.agent.events.mark();
    const { code, stderr } = await fixture.run(game, PYTHON, ["-c", ANNOUNCER, address, String(PORT), tag]);
    assert.equal(code, 0, stderr);
    await listener.line(tag);
    await fixture.violation({ verdict: "allowed", reason: "Allowed", path: PYTHON, proto: "udp" }, mark);
  });
}

/** Answers who asks the group, from its own address. */
const ANSWERER = `
import socket, struct, sys
group, port, interface = sys.argv[1], int(sys.argv[2]), sys.argv[3]
member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
member.bind(("0.0.0.0", port))
member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", socket.inet_aton(group), b"\\0" * 4, socket.if_nametoindex(interface)))
print("listening", flush=True)
while True:
    member.sendto(b"here", member.recvfrom(100)[1])
`;
const ASKER = `
import socket, sys
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.settimeout(1)
asker.bind(("", int(sys.argv[3])))
asker.sendto(b"who", (sys.argv[1], int(sys.argv[2])))
try:
    print(asker.recvfrom(100)[1][0])
except TimeoutError:
    print("nobody")
`;

test("who answers a question to the group answers from an address of his own, which takes an ingress rule", async () => {
  const answerer = fixture.start(fixture.topology.node, PYTHON, ["-c", ANSWERER, GROUP, "4446", game.hostInterface]);
  await answerer.line("listening");
  const asks = async (port: number) =>
    (await fixture.run(game, PYTHON, ["-c", ASKER, GROUP, "4446", String(port)])).stdout.trim();
  assert.equal(await asks(4447), game.gateway4);
  const mark = fixture.agent.events.mark();
  assert.equal(await asks(4448), "nobody");
  const event = await fixture.violation({ reason: "Port", path: PYTHON, direction: "ingress" }, mark, game);
  assert.equal(event.src.ip, game.gateway4);
});

test("another program announces nothing", async () => {
  const tag = fixture.tag();
  const verbs = `udp4 multicastby eth0 sendto ${GROUP} ${PORT} ${tag}`;
  const mark = fixture.agent.events.mark();
  await fixture.run(game, evil, verbs);
  await fixture.violation({ reason: "BinaryUnknown", path: evil, proto: "udp" }, mark);
  assert.ok(!listener.stdout.includes(tag));
});
