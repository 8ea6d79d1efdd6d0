/**
 * Section 5: segments of DNS over TCP that overtake each other, as they do between processors and behind a loss. A resolver, and a
 * client, whose segments are made by hand come out of order and never again: what is dropped is lost.
 */
import assert from "node:assert/strict";
import { realpathSync } from "node:fs";
import { test } from "node:test";
import { isVerdict } from "./harness/event-stream.ts";
import { Fixture } from "./harness/fixture.ts";
import { entry, profile } from "./harness/profiles.ts";
import { runIn } from "./harness/topology.ts";

const PYTHON = realpathSync("/usr/bin/python3");
const NAME = "long.example.com";
const FAMILIES = {
  IPv4: { outside: "198.51.100.7", server: "198.51.100.1" },
  IPv6: { outside: "2001:db8:1::7", server: "2001:db8:1::1" },
};

/** TCP by hand: one connection, whose segments leave as they are told to, once. */
const BY_HAND = `
import ipaddress, os, socket, struct, sys
PORT = 53
class Connection:
    def __init__(self, own):
        self.own, self.family = own, socket.AF_INET6 if ":" in own else socket.AF_INET
        self.socket = socket.socket(self.family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.socket.bind((own, 0))
        self.socket.settimeout(5)
    def packed(self, address):
        return ipaddress.ip_address(address).packed
    def send(self, flags, sequence, payload=b""):
        header = struct.pack(">HHIIBBHHH", self.local, self.remote, sequence, self.acknowledged, 0x50, flags, 65000, 0, 0)
        length = len(header) + len(payload)
        pseudo = self.packed(self.own) + self.packed(self.peer)
        pseudo += struct.pack(">BBH", 0, 6, length) if len(pseudo) == 8 else struct.pack(">II", length, 6)
        whole = pseudo + header + payload + b"\\0" * (length % 2)
        total = sum(struct.unpack(">%dH" % (len(whole) // 2), whole))
        while total >> 16: total = (total & 0xffff) + (total >> 16)
        header = header[:16] + struct.pack(">H", ~total & 0xffff) + header[18:]
        self.socket.sendto(header + payload, (self.peer, 0))
    def receive(self, is_ours):
        while True:
            packet, (address, *_) = self.socket.recvfrom(65535)
            segment = packet[(packet[0] & 15) * 4:] if self.family == socket.AF_INET else packet
            source, destination, sequence, _, offset, flags = struct.unpack(">HHIIBB", segment[:14])
            if is_ours(address, source, destination):
                return address, source, sequence, flags, segment[(offset >> 4) * 4:]
def labels(name):
    return b"".join(bytes([len(label)]) + label for label in name.encode().split(b".")) + b"\\0"
def prefixed(message):
    return struct.pack(">H", len(message)) + message
`;

/** Answers one question with so many addresses, the last of which is the one given; in segments of so many bytes. */
const RESOLVER = `${BY_HAND}
own, last, size, order = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
c = Connection(own)
c.local = PORT
print("listening", flush=True)
flags = 0
while flags != 2: # of an earlier connection, the end may still be on its way
    c.peer, c.remote, sequence, flags, _ = c.receive(lambda address, source, destination: destination == PORT)
c.acknowledged = sequence + 1
c.send(0x12, 1000)
stream = b""
while len(stream) < 2 or len(stream) < 2 + struct.unpack(">H", stream[:2])[0]:
    _, _, sequence, flags, payload = c.receive(lambda address, source, _: (address, source) == (c.peer, c.remote))
    if payload and sequence == c.acknowledged:
        stream += payload
        c.acknowledged += len(payload)
question = stream[2:]
end = 12 + question[12:].index(b"\\0") + 5
packed = ipaddress.ip_address(last).packed
record = lambda address: struct.pack(">HHHIH", 0xc00c, 1 if len(packed) == 4 else 28, 1, 300, len(packed)) + address
records = [record(packed[:-2] + bytes([200, index])) for index in range(99)] + [record(packed)]
answer = prefixed(question[:2] + struct.pack(">5H", 0x8580, 1, len(records), 0, 0) + question[12:end] + b"".join(records))
pieces = [(at, answer[at:at + size]) for at in range(0, len(answer), size)]
if order == "swapped": pieces = [pieces[1], pieces[0]] + pieces[2:]
if order == "late": pieces = pieces[1:] + pieces[:1]
for at, piece in pieces: c.send(0x18, 1001 + at, piece)
`;

/** Asks, and at once connects to the last address of the answer. */
const CLIENT = `
import socket, struct, sys
resolver, server, kind = sys.argv[1], sys.argv[2], 28 if ":" in sys.argv[2] else 1
${BY_HAND.slice(BY_HAND.indexOf("def labels"))}
asked = socket.create_connection((resolver, 53), 3)
asked.sendall(prefixed(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels("${NAME}") + struct.pack(">HH", kind, 1)))
stream = asked.makefile("rb")
answer = stream.read(struct.unpack(">H", stream.read(2))[0])
socket.create_connection((server, 80), 1).close()
print(len(answer), "bytes, and connected")
`;

/** Asks two questions, the second before the first. Names that begin with "odd" are followed by what is in no question. */
const ASKER = `${BY_HAND}
own, peer, first, second = sys.argv[1:5]
c = Connection(own)
c.local, c.remote, c.peer, c.acknowledged = 30000 + os.getpid() % 30000, PORT, peer, 0
ours = lambda address, source, destination: (source, destination) == (PORT, c.local)
c.send(2, 1000)
_, _, sequence, _, _ = c.receive(ours)
c.acknowledged = sequence + 1
c.send(0x10, 1001)
odd = lambda name: b"more" if name.startswith("odd") else b""
question = lambda id, name: prefixed(struct.pack(">6H", id, 0x100, 1, 0, 0, 0) + labels(name) + struct.pack(">HH", 1, 1) + odd(name))
one, two = question(1, first), question(2, second)
c.send(0x18, 1001 + len(one), two)
c.send(0x18, 1001, one)
`;

/** Prints the bytes that come over one connection. */
const SERVER = `
import socket, sys
server = socket.create_server((sys.argv[1], 53), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("listening", flush=True)
peer, _ = server.accept()
peer.settimeout(1.5)
bytes = b""
try:
    while True:
        piece = peer.recv(65535)
        if not piece: break
        bytes += piece
except OSError: pass
print(bytes.hex())
`;

/** Answers each question on each connection as soon as it is there. */
const ANSWERER = `
import socket, struct, sys, threading
server = socket.create_server((sys.argv[1], 53), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("listening", flush=True)
def serve(peer):
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = peer.makefile("rb")
    while prefix := stream.read(2):
        question = stream.read(struct.unpack(">H", prefix)[0])
        peer.sendall(prefix + question[:2] + b"\\x81\\x83" + question[4:])
while True: threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
`;

/** Asks as fast as it can on some connections, and reads the answers meanwhile; prints how many have come. */
const PIPELINE = `
import socket, struct, sys, threading
${BY_HAND.slice(BY_HAND.indexOf("def labels"))}
count = int(sys.argv[2])
message = prefixed(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels("${NAME}") + struct.pack(">HH", 1, 1))
def ask(peer):
    for _ in range(count): peer.sendall(message)
def read(peer, total):
    try:
        while total[0] < count * len(message): total[0] += len(peer.recv(65535)) or sys.exit()
    except OSError: pass
threads, totals = [], []
for _ in range(4):
    peer = socket.create_connection((sys.argv[1], 53), 3)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    totals.append([0])
    threads += [threading.Thread(target=ask, args=(peer,)), threading.Thread(target=read, args=(peer, totals[-1]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(total[0] for total in totals) // len(message))
`;

const fixture = await Fixture.start("overtaking", {
  apps: ["app", "server"],
  profiles: () => [
    profile("app", [
      entry(PYTHON, {
        egress: {
          cidr4: ["198.51.100.7/32"],
          cidr6: ["2001:db8:1::7/128"],
          fqdns: [NAME],
          l4: { protocols: ["tcp"] },
        },
      }),
    ]),
    profile("server", [
      entry(PYTHON, {
        ingress: {
          cidr4: ["198.51.100.7/32"],
          cidr6: ["2001:db8:1::7/128"],
          l4: { protocols: ["tcp"] },
          l7: { protocols: ["dns"] },
        },
      }),
    ]),
  ],
});
const { outside } = fixture.topology;
const app = fixture.workload("app");
const server = fixture.workload("server");
for (const { outside: address } of Object.values(FAMILIES)) {
  const isIpv6 = address.includes(":");
  runIn(
    outside.name,
    "ip",
    "addr",
    "add",
    `${address}/${isIpv6 ? 128 : 32}`,
    "dev",
    "lo",
    ...(isIpv6 ? ["nodad"] : []),
  );
}
/** The kernel there knows nothing of these connections. */
runIn(
  outside.name,
  "nft",
  `table inet byhand { chain out { type filter hook output priority 0;
    ip saddr 198.51.100.7 tcp flags rst drop; ip6 saddr 2001:db8:1::7 tcp flags rst drop; }; }`,
);
const refused = (mark: number) =>
  fixture.agent.events.since(mark, (event) => isVerdict(event) && event.verdict !== "allowed");

for (const [family, peers] of Object.entries(FAMILIES)) {
  for (const order of ["in order", "swapped", "late"]) {
    test(`${family}: an answer in segments that come ${order} teaches before it is read`, async () => {
      const mark = fixture.agent.events.mark();
      const resolver = fixture.start(outside, PYTHON, ["-c", RESOLVER, peers.outside, peers.server, "600", order]);
      await resolver.line("listening");
      const { stdout, stderr } = await fixture.run(app, PYTHON, ["-c", CLIENT, peers.outside, peers.server]);
      assert.match(stdout, /bytes, and connected/, stderr + resolver.stderr);
      assert.deepEqual(refused(mark), []);
      await resolver.kill();
    });
  }

  test(`${family}: questions and answers of a connection that are judged at the same time on two processors`, async () => {
    const mark = fixture.agent.events.mark();
    const answerer = fixture.start(outside, PYTHON, ["-c", ANSWERER, peers.outside]);
    await answerer.line("listening");
    const { stdout, stderr } = await fixture.run(app, PYTHON, ["-c", PIPELINE, peers.outside, "4000"]);
    // A segment with a part of a question may overtake another, and comes again.
    const accused = refused(mark).filter((event) => !isVerdict(event) || event.reason !== "Capacity");
    assert.deepEqual([stdout.trim(), accused], ["16000", []], stderr + answerer.stderr);
    await answerer.kill();
  });

  const own = family === "IPv4" ? server.ipv4 : server.ipv6;
  const asks = async (first: string, second: string) => {
    const mark = fixture.agent.events.mark();
    const listener = fixture.start(server, PYTHON, ["-c", SERVER, own]);
    await listener.line("listening");
    const asker = await fixture.run(outside, PYTHON, ["-c", ASKER, peers.outside, own, first, second]);
    const { stdout, stderr } = await listener.finish();
    const names =
      Buffer.from(stdout.split("\n")[1] ?? "", "hex")
        .toString("latin1")
        .match(/one|two|odd/g) ?? [];
    return { names, mark, stderr: stderr + asker.stderr };
  };

  test(`${family}: a question that overtakes another comes in`, async () => {
    const { names, mark, stderr } = await asks("one.example.com", "two.example.com");
    assert.deepEqual(names, ["one", "two"], stderr);
    assert.deepEqual(refused(mark), []);
  });

  test(`${family}: one that is none does not, ahead or in its turn`, async () => {
    const ahead = await asks("one.example.com", "odd.example.com");
    assert.deepEqual(ahead.names, ["one"], ahead.stderr);
    await fixture.violation({ reason: "Capacity", path: PYTHON, direction: "ingress" }, ahead.mark);
    const first = await asks("odd.example.com", "two.example.com");
    assert.deepEqual(first.names, [], first.stderr);
    await fixture.violation({ reason: "DnsMalformed", path: PYTHON, direction: "ingress" }, first.mark);
  });
}
